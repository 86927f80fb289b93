"""What a cell of a table holds: the path or URL of an image, the image file itself, or several of them.

Image files are bytes, base64, a data URI, or {"bytes": ..., "path": ...}, as `datasets` of Hugging Face stores them.
"""

import base64
import binascii
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clip_vectorizer.public_urls import strip_secrets
from ingest.items import UnusableFile
from ingest.sources.entries import is_entry
from ingest.sources.urls import is_url

MAX_PATH_LENGTH = 4096  # characters, the limit of Linux
DATA_URI = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
# The starts of JPEG, PNG, GIF, WebP, BMP, TIFF, AVIF and HEIC files in base64, which has no dots, unlike file names.
BASE64_IMAGE = re.compile(
    r"(/9j/|iVBORw0KGgo|R0lGOD|UklGR|Qk|SUkq|TU0AK|AAAA[A-Za-z0-9+/_-]{3}mdHlw)[A-Za-z0-9+/_=\s-]{60,}"
)
PRINTABLE = re.compile(rb"[^\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class CellFile:
    """An image file in a cell, or the path or URL of one."""

    name: str  # path or URL; of an image in the cell it may be ""
    data: bytes | None = None
    note: str = ""  # before the reason if the file cannot be read
    problem: str = ""  # why there is none


def parse_cell(value: object, column: str) -> Sequence[CellFile]:
    """Return the files of a cell, at least one; an item of a list may have a problem instead. Raises UnusableFile."""
    if isinstance(value, list | tuple) and value:
        if any(isinstance(each, list | tuple | int | float) for each in value):
            raise UnusableFile(
                f"its column {column!r} holds numbers (pixels?), not an image file; choose another by --path-column"
            )
        return [parse_list_item(each, column) for each in value]
    return [parse_value(value, column)]


def parse_list_item(value: object, column: str) -> CellFile:
    try:
        return parse_value(value, column)
    except UnusableFile as problem:
        return CellFile("", problem=str(problem))


def parse_value(value: object, column: str) -> CellFile:
    if isinstance(value, Mapping):
        return parse_struct(value, column)
    if isinstance(value, bytes) and value:
        return parse_bytes(value)
    if isinstance(value, str) and value.strip():
        return parse_word(value.strip(), column)
    problem = "is no text; choose another by --path-column" if value and not isinstance(value, str) else "is empty"
    raise UnusableFile(f"its column {column!r} {problem}")


def parse_struct(value: Mapping[str, object], column: str) -> CellFile:
    data, path = value.get("bytes"), value.get("path") or value.get("url")
    name = path.strip() if isinstance(path, str) else ""
    if isinstance(data, str) and data.strip():
        return CellFile(name, decode_base64(data, column))
    if isinstance(data, bytes) and data:
        return CellFile(name, data)
    if not name:
        raise UnusableFile(f"its column {column!r} has neither bytes nor a path")
    file = parse_word(name, column)
    return replace(file, note=f"no bytes in its column {column!r}, only a path: ")


def parse_bytes(data: bytes) -> CellFile:
    """Return the image, or the path or URL of one: some writers store text as bytes."""
    if len(data) <= MAX_PATH_LENGTH and PRINTABLE.fullmatch(data):
        try:
            word = data.decode().strip()
        except UnicodeDecodeError:
            return CellFile("", data)
        if is_url(word) or is_entry(word):
            return CellFile(word)
    return CellFile("", data)


def parse_word(word: str, column: str) -> CellFile:
    if DATA_URI.match(word):
        head, _, body = word.partition(",")
        if not head.lower().endswith(";base64"):
            raise UnusableFile(f"its column {column!r} is a data URI that is not base64")
        return CellFile("", decode_base64(body, column))
    if "." not in word and BASE64_IMAGE.match(word):
        return CellFile("", decode_base64(word, column))
    if len(word) > MAX_PATH_LENGTH:
        raise UnusableFile(f"its column {column!r} is neither a path, a URL nor an image in base64: {word[:40]}...")
    return CellFile(word)


def decode_base64(text: str, column: str) -> bytes:
    """Decode base64 of either alphabet, with or without line ends and padding."""
    letters = "".join(text.split()).rstrip("=").translate({ord("-"): "+", ord("_"): "/"})
    try:
        return base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableFile(f"its column {column!r} is not base64 ({error})") from error


def normalize_name(name: str) -> str:
    """Return the name of an image in a cell, for its key.

    >>> normalize_name("./cats/../x.png"), normalize_name("https://e.org/a.png?X-Amz-Signature=secret")
    ('x.png', 'https://e.org/a.png')
    """
    if is_url(name):
        return strip_secrets(name)
    return posixpath.normpath(name) if name and "\0" not in name else ""
