"""Pictures that a visitor drops, pastes or chooses: embedded once, and kept in memory by their content.

D dimensions
"""

import asyncio
import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image

from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import IMAGE_FORMATS, ImageRefused, InputError, Mismatch, Overloaded
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.display.frames import find_pixels
from clip_vectorizer.query.display.thumbnails import encode_png
from clip_vectorizer.query.saved_searches import SavedPicture, build_picture_mismatch
from clip_vectorizer.query.search.query import Query
from clip_vectorizer.vectors import Box, Vectors

KEPT = 200
MAX_UPLOAD_BYTES = 25 * 1024 * 1024
AT_ONCE = 4  # pictures that are decoded at the same time
THUMBNAIL_SIDE = 256  # pixels
FORMATS = f"send a {IMAGE_FORMATS}"
GONE = (
    "the gallery no longer has the picture of this address: it keeps the last 200 until it ends; drop the picture again"
)


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture that was sent to the page."""

    name: str  # of its file, for people
    vector: Vectors  # (D,) float32
    thumbnail: bytes  # a JPEG file
    model: StoredModel  # that made the vector


class Uploads:
    """The last pictures, by `sha256:` and the digest of their bytes; and those of saved searches."""

    def __init__(self, find_saved: Callable[[str], SavedPicture | None] = lambda _: None) -> None:
        self._find_saved = find_saved
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._busy = 0

    def find(self, key: str) -> Upload:
        """Raises InputError where the picture is gone."""
        if key not in self._kept:
            saved = self._find_saved(key)
            if saved is None:
                raise InputError(GONE)
            self._keep(key, Upload(saved.name, saved.vector, saved.thumbnail, saved.model))
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: str, upload: Upload) -> None:
        self._kept[key] = upload
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def find_vector(self, key: str, search: AsyncImageSearch) -> Vectors:
        """Return the vector of a picture. Raises Mismatch where another model made it, InputError as `find`."""
        upload = self.find(key)
        if not upload.model.agrees_with(search.info):
            raise Mismatch(build_picture_mismatch(upload.name, upload.model, search.info))
        return upload.vector

    async def add(self, name: str, data: bytes, search: AsyncImageSearch) -> str:
        """Embed a picture and return its key. Raises InputError for a file that is no image, Overloaded."""
        key = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if key not in self._kept or not self._kept[key].model.agrees_with(search.info):
            with self._turn():
                upload = await read_upload(name, data, search)
            self._keep(key, upload)
        self._kept.move_to_end(key)
        return key

    async def add_cut(self, name: str, data: bytes, box: Box, search: AsyncImageSearch) -> str:
        """Cut a box (shares of the sides) out of a picture, and add it as a picture of its own.

        Raises InputError for a file that is no image, Overloaded.
        """
        try:
            with self._turn():
                cut = await asyncio.to_thread(cut_picture, data, box)
        except ImageRefused as error:
            raise InputError(f"{name}: {error.explain(FORMATS)}") from error
        return await self.add(name, cut, search)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._busy >= AT_ONCE:
            raise Overloaded(f"{AT_ONCE} pictures are being read already; send this one again in a moment")
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1


async def read_upload(name: str, data: bytes, search: AsyncImageSearch) -> Upload:
    try:
        thumbnail = await asyncio.to_thread(make_thumbnail, data)
    except ImageRefused as error:
        raise InputError(f"{name}: {error.explain(FORMATS)}") from error
    try:
        return Upload(name, await search.embed(Query.image(data)), thumbnail, StoredModel.of(search.info))
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def cut_picture(data: bytes, box: Box) -> bytes:
    """Return the part of a picture as a PNG file, at least one pixel. Raises ImageRefused."""
    pixels = decode_image(data).pixels
    left, top, right, bottom = find_pixels(box, pixels.size)
    return encode_png(pixels.crop((left, top, right + 1, bottom + 1)))


def make_thumbnail(data: bytes) -> bytes:
    """Return a JPEG file. Raises ImageRefused."""
    pixels = decode_image(data, least_side=THUMBNAIL_SIDE).pixels
    pixels.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    pixels.save(file, "JPEG", quality=85)
    return file.getvalue()
