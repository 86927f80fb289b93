"""Reads the body of POST /v1/embeddings: OpenAI's fields, with images as jina, infinity and others take them."""

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from clip_vectorizer.errors import BadRequest, NotServed
from clip_vectorizer.models.encoder import ModelInfo
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.protocol import Inputs, check_count, check_size, file_in, sentence_of

DATA_URI = "data:image/"
SHAPE = '"input" is a text, an image as `data:image/...;base64,...`, {"text": ...}, {"image": ...}, or a list of these'
TOKENS = "; numbers of tokens mean nothing to another tokenizer (LangChain: check_embedding_ctx_length=False)"


class Item(msgspec.Struct):
    text: str | None = None
    image: str | None = None


class Body(msgspec.Struct):
    """What else OpenAI knows, `user` for one, is ignored."""

    input: str | Item | list[str | Item]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None


BODY = msgspec.json.Decoder(Body)


@dataclass(frozen=True, slots=True)
class Wanted:
    """`texts_at` and `images_at`: where each of `inputs` stood in the caller's list."""

    inputs: Inputs
    texts_at: list[int]
    images_at: list[int]
    base64: bool


def parse(body: bytes, limits: Limits, info: ModelInfo) -> Wanted:
    """Raises BadRequest, TooLarge, and NotServed for another model than ours."""
    check_size(body, limits)
    try:
        fields = BODY.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"{why(error, body)}; {SHAPE}") from error
    check_model(fields.model, info.model)
    if fields.dimensions not in (None, info.dimension):
        raise BadRequest(f"dimensions is {fields.dimensions}, but {info.model} gives {info.dimension}: leave it out")
    items = fields.input if isinstance(fields.input, list) else [fields.input]
    check_count(len(items), limits)
    return sorted_out(items, fields.encoding_format == "base64")


def sorted_out(items: list[str | Item], base64: bool) -> Wanted:
    texts, images = {}, {}
    for index, item in enumerate(items):
        text, image = parts_of(item, index)
        if image is None:
            texts[index] = text or ""
        else:
            images[index] = image
    inputs = Inputs(list(texts.values()), [file_in(image) for image in images.values()])
    return Wanted(inputs, list(texts), list(images), base64)


def parts_of(item: str | Item, index: int) -> tuple[str | None, str | None]:
    """A text or an image, whichever it is."""
    if isinstance(item, str):
        return (None, item) if item[: len(DATA_URI)].lower() == DATA_URI else (item, None)
    if (item.text is None) == (item.image is None):
        raise BadRequest(f"input[{index}] has {'no' if item.text is None else 'both a'} text and image; {SHAPE}")
    return item.text, item.image


def check_model(asked: str | None, ours: str) -> None:
    """The name as we have it, its last part, or in another spelling of signs and capitals."""
    names = {plain(ours), plain(re.split(r"[/\\]", ours)[-1]), plain(ours.partition(":")[2].lstrip(":"))} - {""}
    if asked is not None and plain(asked) not in names:
        raise NotServed(404, f"the model {asked[:100]!r} is not served here; this sidecar has {ours!r}")


def plain(name: str) -> str:
    return re.sub(r"[^\w]|_", "", name).lower()


def why(error: Exception, body: bytes) -> str:
    if "missing required field" in str(error):
        return "there is no input"
    if "Invalid enum value" in str(error):
        return "encoding_format is neither float nor base64"
    sentence = sentence_of(error, body)
    return sentence + TOKENS if re.match(r"input\[\d+\](\[\d+\])? is a (number|list)", sentence) else sentence
