"""Reads the body of POST /vectorize and writes its answer, as `clip_vectorizer.protocol` describes them."""

import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import orjson
import pybase64

from clip_vectorizer.errors import BadRequest, ImageRefused, TooLarge
from clip_vectorizer.protocol import IMAGE_VECTORS, TEXT_VECTORS, WARNINGS
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.vectors import Vectors

URL_SAFE = bytes.maketrans(b"-_", b"+/")
MANY_BYTES, MANY_ITEMS = 1_000_000, 100_000
WHITESPACE = b" \t\r\n"
WRONG_TYPE = re.compile(r"got `(?P<kind>\w+)`(?: - at `(?P<place>[^`]*)`)?")
HALF_PAIR = re.compile(rb"(?i)\\ud[89a-f]")  # what may be one: msgspec only says that it cannot read the string
JSON_KINDS = {"object": "an object", "array": "a list", "str": "a string", "bool": "a boolean", "null": "null"}


@dataclass(frozen=True, slots=True)
class EmbedInputs:
    texts: Sequence[str]
    images: Sequence[bytes | ImageRefused]  # files, and what is no file at all

    def __len__(self) -> int:
        return len(self.texts) + len(self.images)


class VectorizeBody(msgspec.Struct):
    """Both fields may be missing or null, as Weaviate leaves out what is empty; all others are ignored."""

    texts: list[str] | None = None
    images: list[str] | None = None


VECTORIZE_DECODER = msgspec.json.Decoder(VectorizeBody)


def parse_vectorize(body: bytes, limits: Limits) -> EmbedInputs:
    """Raises BadRequest for a body the protocol does not know, TooLarge for too many items."""
    check_body_size(body, limits)
    try:
        fields = VECTORIZE_DECODER.decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors; it stops at the first wrong type
        why = describe_json_error(error, body)
        raise BadRequest(f'{why}; send {{"texts": [...], "images": [...]}}, lists of strings') from error
    texts, images = fields.texts or [], fields.images or []
    check_item_count(len(texts) + len(images), limits)
    return EmbedInputs(texts, [decode_image_field(text) for text in images])


def check_body_size(body: bytes, limits: Limits) -> None:
    """Before it is read: ten million empty strings are a small body and a second of the event loop's time."""
    if len(body) > MANY_BYTES and estimate_item_count(body) > MANY_ITEMS:
        raise TooLarge(f"over {MANY_ITEMS} items; one request takes {limits.max_items} (CLIP_MAX_ITEMS): send several")


def estimate_item_count(body: bytes) -> int:
    """Commas that end a string or an object. By numpy, which lets other threads go on; bytes.count does not."""
    letters = np.frombuffer(body, np.uint8)
    before, comma = letters[:-1], letters[1:] == ord(",")
    return int(np.count_nonzero(comma & ((before == ord('"')) | (before == ord("}")))))


def check_item_count(items: int, limits: Limits) -> None:
    if items > limits.max_items:
        raise TooLarge(f"{items} items; one request takes {limits.max_items} (CLIP_MAX_ITEMS): send several")


def describe_json_error(error: Exception, body: bytes) -> str:
    """msgspec's words (Expected `str`, got `int` - at `$.texts[0]`) as `texts[0] is a number`."""
    found = WRONG_TYPE.search(str(error))
    if not found:
        half = "; is half of a surrogate pair in a string?" if HALF_PAIR.search(body) else ""
        return f"the body is not JSON ({error}{half})"
    kind, place = JSON_KINDS.get(found["kind"], "a number"), found["place"] or ""
    return f"{place.removeprefix('$').lstrip('.') or 'the body'} is {kind}"


def decode_image_field(text: str) -> bytes | ImageRefused:
    """The error as a value: the good ones of a request are worth their work, and all bad ones are told at once."""
    try:
        return decode_base64_image(text)
    except ImageRefused as error:
        return error


def decode_base64_image(text: str) -> bytes:
    """Standard or url-safe base64, padded or not, whitespace allowed, with or without a `data:` prefix.

    Raises ImageRefused.
    """
    encoded = strip_data_prefix(text)
    try:
        data = pybase64.b64decode(encoded, validate=True)
    except ValueError:
        data = decode_lenient_base64(encoded)
    if not data:
        raise ImageRefused(422, "0 bytes")
    return data


def decode_lenient_base64(text: str) -> bytes:
    try:
        encoded = text.encode("ascii").translate(URL_SAFE, WHITESPACE).rstrip(b"=")
        return binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4), strict_mode=True)
    except ValueError as error:  # UnicodeEncodeError and binascii.Error too
        raise ImageRefused(422, "not base64") from error


def strip_data_prefix(text: str) -> str:
    """Without the `data:image/png;base64,` that browsers put before."""
    return text.partition(",")[2] if text[:5].lower() == "data:" else text


def encode_vectors(texts: Sequence[Vectors], images: Sequence[Vectors], warnings: Sequence[str]) -> bytes:
    """The JSON of finite unit rows (D,), both lists always present; `warnings` only where there are any."""
    fields: dict[str, Any] = {TEXT_VECTORS: list(texts), IMAGE_VECTORS: list(images)}
    if warnings:
        fields[WARNINGS] = list(warnings)
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)
