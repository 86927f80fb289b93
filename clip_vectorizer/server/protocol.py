"""Reads a request's body and writes an answer's, as `clip_vectorizer.protocol` describes them."""

import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from clip_vectorizer.errors import BadRequest, TooLarge, UnreadableImage
from clip_vectorizer.protocol import IMAGE_VECTORS, IMAGES, TEXT_VECTORS, TEXTS, WARNINGS
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.vectors import Vectors

URL_SAFE = bytes.maketrans(b"-_", b"+/")
WHITESPACE = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Inputs:
    texts: list[str]
    images: list[str]  # base64, unchecked

    def __len__(self) -> int:
        return len(self.texts) + len(self.images)


def parse(body: bytes, limits: Limits) -> Inputs:
    """Raises BadRequest for a body the protocol does not know, TooLarge for too many items."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f'the body is not JSON ({error}); send {{"texts": [...], "images": [...]}}') from error
    if not isinstance(fields, dict):
        raise BadRequest(f'the body is {kind(fields)}; send an object: {{"texts": [...], "images": [...]}}')
    inputs = Inputs(strings(fields, TEXTS), strings(fields, IMAGES))
    if len(inputs) > limits.max_items:
        raise TooLarge(f"{len(inputs)} items; one request takes {limits.max_items} (CLIP_MAX_ITEMS): send several")
    return inputs


def strings(fields: dict[str, Any], name: str) -> list[str]:
    """A list of strings; a missing or null field is an empty list, as Weaviate leaves out what is empty."""
    items = fields.get(name)
    if items is None:
        return []
    if not isinstance(items, list):
        raise BadRequest(f"{name} is {kind(items)}; send a list of strings")
    for index, item in enumerate(items):
        if not isinstance(item, str):
            raise BadRequest(f"{name}[{index}] is {kind(item)}; send a string")
    return items


def kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def image_bytes(index: int, text: str) -> bytes:
    """Standard or url-safe base64, padded or not, whitespace allowed, with or without a `data:` prefix.

    Raises UnreadableImage naming `index`.
    """
    try:
        encoded = data_of(text).encode("ascii").translate(URL_SAFE, WHITESPACE).rstrip(b"=")
        data = binascii.a2b_base64(encoded + b"=" * (-len(encoded) % 4), strict_mode=True)
    except ValueError as error:  # UnicodeEncodeError and binascii.Error too
        raise UnreadableImage(index, "not base64") from error
    if not data:
        raise UnreadableImage(index, "0 bytes")
    return data


def data_of(text: str) -> str:
    """Without the `data:image/png;base64,` that browsers put before."""
    return text.partition(",")[2] if text[:5].lower() == "data:" else text


def answer(texts: Sequence[Vectors], images: Sequence[Vectors], warnings: Sequence[str]) -> bytes:
    """The JSON of unit rows (D,), both lists always present; `warnings` only where there are any."""
    fields: dict[str, Any] = {
        TEXT_VECTORS: [row.tolist() for row in texts],
        IMAGE_VECTORS: [row.tolist() for row in images],
    }
    if warnings:
        fields[WARNINGS] = list(warnings)
    return json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
