"""POST /v1/embeddings as OpenAI's clients call it, for texts and images in any order.

Reads the body of POST /v1/embeddings: OpenAI's fields, with images as jina, infinity and others take them.
"""

import re
import time
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
import numpy as np
import orjson
import pybase64
from starlette.responses import Response

from clip_vectorizer.errors import BadRequest, EncoderFailed, NotServed, RequestRefused
from clip_vectorizer.models.encoder import ModelInfo
from clip_vectorizer.protocol import WARNINGS
from clip_vectorizer.server.body import parse_body, respond_to_body
from clip_vectorizer.server.codec import (
    EmbedInputs,
    check_body_size,
    check_item_count,
    decode_image_field,
    describe_json_error,
)
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.middleware import JSON, RouteHandler, TrackedRequest
from clip_vectorizer.server.service import EmbedResponse, Service
from clip_vectorizer.vectors import Vectors

PLACE = re.compile(r"^(texts|images)\[(\d+)\]")
DATA_URI = "data:image/"
INPUT_HINT = (
    '"input" is a text, an image as `data:image/...;base64,...`, {"text": ...}, {"image": ...}, or a list of these'
)
TOKENS_HINT = "; numbers of tokens mean nothing to another tokenizer (LangChain: check_embedding_ctx_length=False)"


def embeddings_handler(service: Service) -> RouteHandler:
    async def answer(body: bytes, times: RequestTimes) -> Response:
        wanted = await parse_body(lambda body: parse_request(body, service.limits, service.info), body)
        times.parse = times.since_start()
        try:
            embedded = await service.embed(wanted.inputs, times)
        except (RequestRefused, EncoderFailed) as error:
            raise translate_error(error, wanted) from error
        written = time.perf_counter()
        content = encode_response(embedded, wanted, service.info.model)
        times.serialise = time.perf_counter() - written
        return Response(content, media_type=JSON)

    async def embeddings(request: TrackedRequest) -> Response:
        return await respond_to_body(service, request, answer)

    return embeddings


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """`texts_at` and `images_at`: where each of `inputs` stood in the caller's list."""

    inputs: EmbedInputs
    texts_at: list[int]
    images_at: list[int]
    base64: bool


def encode_response(embedded: EmbedResponse, wanted: OpenAIRequest, model: str) -> bytes:
    rows = {**dict(zip(wanted.texts_at, embedded.texts, strict=True))}
    rows |= dict(zip(wanted.images_at, embedded.images, strict=True))
    write = encode_base64 if wanted.base64 else np.ascontiguousarray
    fields: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": n, "embedding": write(rows[n])} for n in range(len(rows))],
        "model": model,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }
    if embedded.warnings:
        fields[WARNINGS] = [translate_positions(sentence, wanted) for sentence in embedded.warnings]
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_base64(row: Vectors) -> str:
    """Of the numbers as float32, lowest byte first."""
    return pybase64.b64encode_as_string(row.astype("<f4").tobytes())


def translate_error(error: RequestRefused | EncoderFailed, wanted: OpenAIRequest) -> RequestRefused | EncoderFailed:
    """`images[0]` is `input[3]` here."""
    error.args = (translate_positions(str(error), wanted).replace("; send base64 of a", "; it must be base64 of a"),)
    if isinstance(error, RequestRefused):
        error.refused = {wanted.images_at[index]: reason for index, reason in error.refused.items()}
    return error


def translate_positions(sentence: str, wanted: OpenAIRequest) -> str:
    at = {"texts": wanted.texts_at, "images": wanted.images_at}
    return PLACE.sub(lambda hit: f"input[{at[hit[1]][int(hit[2])]}]", sentence)


class OpenAIItem(msgspec.Struct):
    text: str | None = None
    image: str | None = None


class OpenAIBody(msgspec.Struct):
    """What else OpenAI knows, `user` for one, is ignored."""

    input: str | OpenAIItem | list[str | OpenAIItem]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


OPENAI_DECODER = msgspec.json.Decoder(OpenAIBody)


def parse_request(body: bytes, limits: Limits, info: ModelInfo) -> OpenAIRequest:
    """Raises BadRequest, TooLarge, and NotServed for another model than ours."""
    check_body_size(body, limits)
    try:
        fields = OPENAI_DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{describe_body_error(error, body)}; {INPUT_HINT}") from error
    check_model_name(fields.model, info.model)
    if fields.dimensions not in (None, info.dimension):
        raise BadRequest(f"dimensions is {fields.dimensions}, but {info.model} gives {info.dimension}: leave it out")
    items = fields.input if isinstance(fields.input, list) else [fields.input]
    check_item_count(len(items), limits)
    return split_items(items, fields.encoding_format == "base64")


def split_items(items: list[str | OpenAIItem], base64: bool) -> OpenAIRequest:
    texts, images = {}, {}
    for index, item in enumerate(items):
        text, image = read_item(item, index)
        if image is None:
            texts[index] = text or ""
        else:
            images[index] = image
    inputs = EmbedInputs(list(texts.values()), [decode_image_field(image) for image in images.values()])
    return OpenAIRequest(inputs, list(texts), list(images), base64)


def read_item(item: str | OpenAIItem, index: int) -> tuple[str | None, str | None]:
    """A text or an image, whichever it is."""
    if isinstance(item, str):
        return (None, item) if item[: len(DATA_URI)].lower() == DATA_URI else (item, None)
    if (item.text is None) == (item.image is None):
        raise BadRequest(f"input[{index}] has {'no' if item.text is None else 'both a'} text and image; {INPUT_HINT}")
    return item.text, item.image


def check_model_name(asked: str | None, ours: str) -> None:
    """The name as we have it, its last part, or in another spelling of signs and capitals."""
    names = {
        normalize_name(ours),
        normalize_name(re.split(r"[/\\]", ours)[-1]),
        normalize_name(ours.partition(":")[2].lstrip(":")),
    } - {""}
    if asked is not None and normalize_name(asked) not in names:
        raise NotServed(404, f"the model {asked[:100]!r} is not served here; this sidecar has {ours!r}")


def normalize_name(name: str) -> str:
    return re.sub(r"[^\w]|_", "", name).lower()


def describe_body_error(error: Exception, body: bytes) -> str:
    if "missing required field" in str(error):
        return "there is no input"
    if "Invalid enum value" in str(error):
        return "encoding_format is neither float nor base64"
    sentence = describe_json_error(error, body)
    return sentence + TOKENS_HINT if re.match(r"input\[\d+\](\[\d+\])? is a (number|list)", sentence) else sentence
