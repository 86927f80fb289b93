"""POST /v1/embeddings for OpenAI's clients: texts and images in any order.

The fields of images are those of jina, infinity and others. D dimensions.
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

from clip_vectorizer.errors import IMAGE_FORMATS, BadRequest, NotServed
from clip_vectorizer.models.encoder import ModelInfo
from clip_vectorizer.protocol import TEXTS, WARNINGS, format_truncated
from clip_vectorizer.server.body import parse_body, respond_to_body
from clip_vectorizer.server.codec import (
    EmbedInputs,
    check_body_size,
    check_item_count,
    decode_image_field,
    describe_json_error,
    find_type_error,
)
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.metrics import RequestTimes
from clip_vectorizer.server.middleware import JSON, RouteHandler, TrackedRequest
from clip_vectorizer.server.routes.item_errors import item_errors
from clip_vectorizer.server.service import EmbedResponse, Service
from clip_vectorizer.vectors import Vectors

DATA_URI = "data:image/"
INPUT = "input"  # the field of all items
BASE64_IMAGE = f"it must be base64 of a {IMAGE_FORMATS}"
INPUT_HINT = (
    '"input" is a text, an image as `data:image/...;base64,...`, {"text": ...}, {"image": ...}, or a list of these'
)
TOKENS = re.compile(r"input\[\d+\](\[\d+\])?")  # where a client that sends tokens has numbers or lists
TOKENS_HINT = "; numbers of tokens mean nothing to another tokenizer (LangChain: check_embedding_ctx_length=False)"


def embeddings_handler(service: Service) -> RouteHandler:
    async def respond(body: bytes, times: RequestTimes) -> Response:
        request = await parse_body(lambda body: parse_request(body, service.limits, service.info), body)
        times.parse = times.since_start()
        with item_errors(BASE64_IMAGE, request.locate):
            embedded = await service.embed(request.inputs, times)
        start = time.perf_counter()
        content = encode_response(embedded, request, service.info.model)
        times.serialise = time.perf_counter() - start
        return Response(content, media_type=JSON)

    async def embeddings(request: TrackedRequest) -> Response:
        return await respond_to_body(service, request, respond)

    return embeddings


@dataclass(frozen=True, slots=True)
class OpenAIRequest:
    """`texts_at` and `images_at`: the index in the request's `input` of each text and image of `inputs`."""

    inputs: EmbedInputs
    texts_at: list[int]
    images_at: list[int]
    base64: bool

    def locate(self, field: str, index: int) -> tuple[str, int]:
        """The position in the request's body of an item of `inputs`."""
        return INPUT, (self.texts_at if field == TEXTS else self.images_at)[index]


class OpenAIItem(msgspec.Struct):
    text: str | None = None
    image: str | None = None


class OpenAIBody(msgspec.Struct):
    """Other fields of OpenAI, such as `user`, are ignored."""

    input: str | OpenAIItem | list[str | OpenAIItem]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


OPENAI_DECODER = msgspec.json.Decoder(OpenAIBody)


def parse_request(body: bytes, limits: Limits, info: ModelInfo) -> OpenAIRequest:
    """Raises BadRequest, TooLarge, and NotServed for a model that is not served here."""
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


def describe_body_error(error: Exception, body: bytes) -> str:
    """The msgspec error for a body that cannot be decoded, in the words of the request."""
    if "missing required field" in str(error):
        return "there is no input"
    if "Invalid enum value" in str(error):
        return "encoding_format is neither float nor base64"
    found = find_type_error(error)
    tokens = found and TOKENS.fullmatch(found.place) and found.kind in ("a number", "a list")
    return describe_json_error(error, body) + (TOKENS_HINT if tokens else "")


def check_model_name(requested: str | None, served: str) -> None:
    """Accepts the name as it is, its last part, and other spellings of punctuation and capitals. Raises NotServed."""
    names = {
        normalize_name(served),
        normalize_name(re.split(r"[/\\]", served)[-1]),
        normalize_name(served.partition(":")[2].lstrip(":")),
    } - {""}
    if requested is not None and normalize_name(requested) not in names:
        raise NotServed(404, f"the model {requested[:100]!r} is not served here; this sidecar has {served!r}")


def normalize_name(name: str) -> str:
    """
    >>> normalize_name("OpenAI/ViT-B_32")
    'openaivitb32'
    """
    return re.sub(r"[^\w]|_", "", name).lower()


def split_items(items: list[str | OpenAIItem], base64: bool) -> OpenAIRequest:
    """Texts and images apart, each with its index in the request."""
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
    """A text or an image; the other one is None."""
    if isinstance(item, str):
        return (None, item) if item[: len(DATA_URI)].lower() == DATA_URI else (item, None)
    if (item.text is None) == (item.image is None):
        raise BadRequest(f"input[{index}] has {'no' if item.text is None else 'both a'} text and image; {INPUT_HINT}")
    return item.text, item.image


def encode_response(embedded: EmbedResponse, request: OpenAIRequest, model: str) -> bytes:
    """OpenAI's JSON, with the vectors in the order of the request."""
    rows = {**dict(zip(request.texts_at, embedded.texts, strict=True))}
    rows |= dict(zip(request.images_at, embedded.images, strict=True))
    write = encode_base64 if request.base64 else np.ascontiguousarray
    fields: dict[str, Any] = {
        "object": "list",
        "data": [{"object": "embedding", "index": n, "embedding": write(rows[n])} for n in range(len(rows))],
        "model": model,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }
    if embedded.truncated:
        fields[WARNINGS] = [
            format_truncated(*request.locate(TEXTS, index), tokens) for index, tokens in embedded.truncated.items()
        ]
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_base64(row: Vectors) -> str:
    """Base64 of the numbers (D,) as float32, lowest byte first."""
    return pybase64.b64encode_as_string(row.astype("<f4").tobytes())
