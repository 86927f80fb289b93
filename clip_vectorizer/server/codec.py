"""Decodes the body of POST /vectorize and encodes its response, as `clip_vectorizer.protocol` describes them.

D dimensions
"""

import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np
import orjson
import pybase64

from clip_vectorizer.errors import BadRequest, ImageRefused, TooLarge
from clip_vectorizer.protocol import IMAGE_VECTORS, TEXT_VECTORS, TRUNCATED, WARNINGS
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.vectors import Vectors

URL_SAFE = bytes.maketrans(b"-_", b"+/")
MANY_BYTES, MANY_ITEMS = 1_000_000, 100_000
WHITESPACE = b" \t\r\n"
ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]{1,9}://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class EmbedInputs:
    texts: Sequence[str]
    images: Sequence[bytes | ImageRefused]  # files, or why a field holds none

    def __len__(self) -> int:
        return len(self.texts) + len(self.images)


class VectorizeBody(msgspec.Struct):
    """Both fields may be missing or null, as Weaviate leaves out what is empty; all others are ignored."""

    texts: list[str] | None = None
    images: list[str] | None = None


VECTORIZE_DECODER = msgspec.json.Decoder(VectorizeBody)
WRONG_TYPE = re.compile(r"got `(?P<kind>\w+)`(?: - at `(?P<place>[^`]*)`)?")
HALF_PAIR = re.compile(rb"(?i)\\ud[89a-f]")  # perhaps half a pair: msgspec only reports that the string is invalid
JSON_KINDS = {"object": "an object", "array": "a list", "str": "a string", "bool": "a boolean", "null": "null"}


def parse_vectorize(body: bytes, limits: Limits) -> EmbedInputs:
    """Raises BadRequest for a body that does not follow the protocol, TooLarge for too many items."""
    check_body_size(body, limits)
    try:
        fields = VECTORIZE_DECODER.decode(body)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors; it stops at the first wrong type
        reason = describe_json_error(error, body)
        raise BadRequest(f'{reason}; send {{"texts": [...], "images": [...]}}, lists of strings') from error
    texts, images = fields.texts or [], fields.images or []
    check_item_count(len(texts), len(images), limits)
    return EmbedInputs(texts, [decode_image_field(text) for text in images])


def check_body_size(body: bytes, limits: Limits) -> None:
    """Raises TooLarge before parsing: ten million empty strings are a small body and a second of the event loop."""
    if len(body) > MANY_BYTES and estimate_item_count(body) > MANY_ITEMS:
        raise TooLarge(f"over {MANY_ITEMS} items; one request takes {limits.max_items} (CLIP_MAX_ITEMS): send several")


def estimate_item_count(body: bytes) -> int:
    """Count the commas after a string or an object. By numpy, which releases the GIL; bytes.count does not."""
    letters = np.frombuffer(body, np.uint8)
    before, comma = letters[:-1], letters[1:] == ord(",")
    return int(np.count_nonzero(comma & ((before == ord('"')) | (before == ord("}")))))


def check_item_count(texts: int, images: int, limits: Limits, hint: str = "") -> None:
    """Raises TooLarge; `hint` is how the caller's library makes smaller requests."""
    for count, name, most, variable in (
        (texts + images, "items", limits.max_items, "CLIP_MAX_ITEMS"),
        (images, "images", limits.max_images, "CLIP_MAX_IMAGES"),
    ):
        if count > most:
            raise TooLarge(f"{count} {name}; one request takes {most} ({variable}): send several{hint}")


class JsonTypeError(NamedTuple):
    place: str  # `texts[0]`; empty for the body itself
    kind: str  # `a number`


def find_type_error(error: Exception) -> JsonTypeError | None:
    """The first value of a wrong type, from msgspec's message: Expected `str`, got `int` - at `$.texts[0]`."""
    found = WRONG_TYPE.search(str(error))
    if not found:
        return None
    place = (found["place"] or "").removeprefix("$").lstrip(".")
    return JsonTypeError(place, JSON_KINDS.get(found["kind"], "a number"))


def describe_json_error(error: Exception, body: bytes) -> str:
    """`texts[0] is a number`, or why the body is not JSON."""
    found = find_type_error(error)
    if found:
        return f"{found.place or 'the body'} is {found.kind}"
    half = "; is half of a surrogate pair in a string?" if HALF_PAIR.search(body) else ""
    return f"the body is not JSON ({error}{half})"


def decode_image_field(text: str) -> bytes | ImageRefused:
    """The file, or the error as a value: good images are encoded, and all bad ones are reported at once."""
    try:
        return decode_base64_image(text)
    except ImageRefused as error:
        return error


def decode_base64_image(text: str) -> bytes:
    """Standard or url-safe base64, padded or not, whitespace allowed, with or without a `data:` prefix.

    Raises ImageRefused.

    >>> decode_base64_image("data:image/png;base64,aGk")
    b'hi'
    """
    encoded = strip_data_prefix(text)
    try:
        data = pybase64.b64decode(encoded, validate=True)
    except ValueError:
        data = decode_lenient_base64(encoded)
    if not data:
        raise ImageRefused(422, "0 bytes")
    return data


def strip_data_prefix(text: str) -> str:
    """Without the `data:image/png;base64,` of browsers."""
    return text.partition(",")[2] if text[:5].lower() == "data:" else text


def decode_lenient_base64(text: str) -> bytes:
    try:
        encoded = text.encode("ascii").translate(URL_SAFE, WHITESPACE).rstrip(b"=")
        return binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4), strict_mode=True)
    except ValueError as error:  # UnicodeEncodeError and binascii.Error too
        address = ADDRESS.match(text)
        raise ImageRefused(422, "an address, which is not fetched" if address else "not base64") from error


def encode_vectors(
    texts: Sequence[Vectors],
    images: Sequence[Vectors],
    warnings: Sequence[str] = (),
    truncated: Mapping[int, int] | None = None,
) -> bytes:
    """The JSON of finite unit rows (D,), both lists always present; the other fields only where there are any."""
    fields: dict[str, Any] = {TEXT_VECTORS: list(texts), IMAGE_VECTORS: list(images)}
    if warnings:
        fields[WARNINGS] = list(warnings)
    if truncated:
        fields[TRUNCATED] = {str(index): tokens for index, tokens in truncated.items()}
    return orjson.dumps(fields, option=orjson.OPT_SERIALIZE_NUMPY)
