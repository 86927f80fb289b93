"""Pictures by the id of their object: thumbnails from the database, files from a folder that the command names."""

import asyncio
import io
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.hits import Hit, StoredImage

KEPT_BYTES = 64 * 1024 * 1024
MAX_FILE_BYTES = 50 * 1024 * 1024
# By the first bytes of a file. Never SVG or HTML, which may have scripts.
MEDIA_TYPES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"GIF8": "image/gif"}
LONGEST_START = 16
ThumbnailKey = tuple[tuple[str, str | None], str]  # collection and tenant, and the id: both may have the same ids


class Thumbnails:
    """The thumbnails of the last hits, in memory: a search brings them with it, and the page asks for them next."""

    def __init__(self) -> None:
        self._kept: OrderedDict[ThumbnailKey, bytes] = OrderedDict()
        self._bytes = 0

    def keep(self, images: Iterable[Hit | StoredImage], search: AsyncImageSearch) -> None:
        """`search`: that found them."""
        for image in images:
            if image.thumbnail:
                self._put((search.partition, image.id), image.thumbnail)

    async def read(self, id: str, search: AsyncImageSearch) -> bytes | None:
        """Return the JPEG file, None for an image without one. Raises InputError where there is no such image."""
        key = search.partition, id
        if key not in self._kept:
            image = await search.stored(id, include_thumbnail=True)
            if image.thumbnail is None:
                return None
            self._put(key, image.thumbnail)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _put(self, key: ThumbnailKey, data: bytes) -> None:
        self._bytes += len(data) - len(self._kept.pop(key, b""))
        self._kept[key] = data
        while self._bytes > KEPT_BYTES:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped)


def find_media_type(data: bytes) -> str | None:
    """Return the type of a picture by its first bytes, None for anything that a browser could run.

    >>> find_media_type(b"<svg xmlns=...>"), find_media_type(b"RIFF....WEBPVP8 ")
    (None, 'image/webp')
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return next((kind for start, kind in MEDIA_TYPES.items() if data.startswith(start)), None)


def read_size(data: bytes | None) -> tuple[int, int] | None:
    """Return width and height of a picture, from the start of its file; None where there is none to read."""
    try:
        with Image.open(io.BytesIO(data or b"")) as opened:
            return opened.size
    except Exception:  # Pillow raises many types on broken files
        return None


def digest(data: bytes | None) -> str:
    """A short name of the content, for addresses that a browser may keep for ever."""
    return sha256(data).hexdigest()[:16] if data else ""


async def read_file(root: Path, path: str) -> bytes | None:
    """Return the file of an image, None where the folder does not have it, or it is no picture.

    `path`: as it is stored. Nothing outside of `root` is read, by whichever name or link.
    """
    return await asyncio.to_thread(read_inside, root, path)


def has_file(root: Path, path: str) -> bool:
    """Whether the folder has a file of this name. Of archives and documents, whose members are images, it has none."""
    try:
        file = resolve_inside(root, path)
        return file.is_file() and file.stat().st_size <= MAX_FILE_BYTES and is_picture(file)
    except (OSError, ValueError, InputError):
        return False


def is_picture(file: Path) -> bool:
    with file.open("rb") as opened:
        return find_media_type(opened.read(LONGEST_START)) is not None


def read_inside(root: Path, path: str) -> bytes | None:
    try:
        file = resolve_inside(root, path)
        if not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
            return None
        data = file.read_bytes()
    except (OSError, ValueError, RuntimeError, InputError):  # RuntimeError: Python 3.11's, for a link to itself
        return None
    return data if find_media_type(data[:LONGEST_START]) else None


def resolve_inside(root: Path, path: str) -> Path:
    """Return the file that `path` names inside `root`. Raises InputError for one outside of it."""
    folder = root.resolve()
    file = (folder / path).resolve()
    if "\0" in path or "\\" in path or not file.is_relative_to(folder):
        raise InputError(f"{path!r} is not inside of {root}")
    return file
