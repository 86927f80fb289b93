"""Frames of GIF and WebP files and pages of TIFF files, each as an image of its own."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from PIL import Image, UnidentifiedImageError

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image, make_upright
from clip_vectorizer.images.pillow import identify_image, ignore_pillow_warnings, open_image
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.images.tiff_directory import is_tiff, list_tiff_pages
from clip_vectorizer.images.tiff_pages import extract_tiff_page
from ingest.choices import MAX_FILE_BYTES
from ingest.items import UnusableFile
from ingest.sources.base import FileEntry
from ingest.sources.reading import MAX_PIXELS, check_size, read_errors

MAX_FRAMES = 10_000
# Frames build on each other. Threads read them nearly in order, so the frames decoded on the way to one are kept.
MAX_KEPT_FRAMES = 32
MAX_KEPT_BYTES = 64_000_000


def count_frames(entry: FileEntry, most: int = MAX_FRAMES) -> int:
    """Return the number of frames, at least 1; `most` + 1 if there are more than `most`. Raises UnusableFile.

    A broken page of a TIFF file counts: reading it raises, and the others can be read.
    """
    with decoder_errors(), entry.open() as file:
        if is_tiff(file):
            return len(list_tiff_pages(file, most + 1))
        try:
            with open_image(file) as image:
                return min(int(getattr(image, "n_frames", 1)), most + 1)
        except UnidentifiedImageError:
            return 1  # reading it names what it is


class FrameReader:
    """Return frames as image files: pages of a TIFF file as they are, other frames as PNG, upright RGB on white.

    A lock serializes the decoder; every frame is decoded once as long as frames are read nearly in order.
    """

    def __init__(self, entry: FileEntry, count: int, most_pixels: int = MAX_PIXELS) -> None:
        self._count, self._most_pixels = count, most_pixels
        self._entry, self._lock = entry, threading.Lock()
        self._frames: OpenFrames | None = None
        self._kept: dict[int, bytes] = {}

    def __del__(self) -> None:
        self._close()

    def read(self, number: int) -> bytes:
        """Return frame `number`, counted from 1, as an image file. Raises UnusableFile."""
        with self._lock, decoder_errors(), ignore_pillow_warnings():
            try:
                return self._kept.pop(number) if number in self._kept else self._decode(number)
            except BaseException:
                self._close()
                raise

    def _decode(self, number: int) -> bytes:
        if self._frames is None or number < self._frames.next:
            self._close()
            self._frames = open_frames(self._entry.open(), self._count, self._most_pixels)
        for earlier in range(self._frames.next, number):
            self._keep(earlier, self._frames.read(earlier))
        data = self._frames.read(number)
        if number == self._count:
            self._close()
        return data

    def _keep(self, number: int, data: bytes) -> None:
        self._kept[number] = data
        while len(self._kept) > MAX_KEPT_FRAMES or sum(map(len, self._kept.values())) > MAX_KEPT_BYTES:
            self._kept.pop(next(iter(self._kept)))

    def _close(self) -> None:
        if self._frames is not None:
            self._frames.close()
        self._frames = None


class OpenFrames(Protocol):
    """The frames of an open file."""

    next: int  # the first frame that can be read without opening the file again or losing others

    def read(self, number: int) -> bytes: ...

    def close(self) -> None: ...


def open_frames(file: BinaryIO, count: int, most_pixels: int) -> OpenFrames:
    """Closes the file if it cannot be used."""
    try:
        return TiffPages(file, count, most_pixels) if is_tiff(file) else AnimationFrames(file, most_pixels)
    except BaseException:
        file.close()
        raise


class TiffPages:
    """The pages of a TIFF file, which do not depend on each other: one that is broken does not prevent the others."""

    def __init__(self, file: BinaryIO, count: int, most_pixels: int) -> None:
        self.next = 0  # any
        self._file, self._most_pixels = file, most_pixels
        self._offsets = list_tiff_pages(file, count)

    def read(self, number: int) -> bytes:
        """Return the page as a TIFF file, so that what opens it finds its profile, its orientation and its damage.

        One that is too large for that becomes a PNG file, if it is whole.
        """
        data = extract_tiff_page(self._file, self._offsets[number - 1])
        if len(data) <= MAX_FILE_BYTES:
            return data
        return encode_png(decode_image(data, DecodeSettings(self._most_pixels, least_decoded=1.0)).pixels)

    def close(self) -> None:
        self._file.close()


class AnimationFrames:
    """The frames of a GIF, WebP or PNG file, each drawn on the one before."""

    def __init__(self, file: BinaryIO, most_pixels: int) -> None:
        self.next = 1
        self._file, self._most_pixels = file, most_pixels
        self._image = identify_image(file)

    def read(self, number: int) -> bytes:
        image = self._image
        image.seek(number - 1)
        if image.width * image.height > self._most_pixels:
            limit = f"the limit is {self._most_pixels / 1e6:g} megapixels"
            raise UnusableFile(f"a frame of {image.width} x {image.height}; {limit}")
        image.load()
        self.next = number + 1
        return encode_png(make_upright(image))

    def close(self) -> None:
        self._image.close()
        self._file.close()


def encode_png(image: Image.Image) -> bytes:
    """Raises UnusableFile if the file is too large."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    check_size(out.tell())
    return out.getvalue()


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Context manager: convert every error of a decoder to UnusableFile."""
    try:
        with read_errors():
            yield
    except UnusableFile:
        raise
    except ImageRefused as refused:
        raise UnusableFile(refused.reason) from refused
    except Exception as error:  # SyntaxError, ValueError, IndexError, struct.error, EOFError, ...
        raise UnusableFile(f"broken or truncated image ({error})") from error
