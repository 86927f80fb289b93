"""Frames of GIF and WebP files and pages of TIFF files, each as an image of its own."""

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from clip_vectorizer.images.pillow import PILLOW_FORMATS, identify_image, ignore_pillow_warnings, open_image
from clip_vectorizer.images.upright import upright_rgb
from ingest.items import UnusableFile
from ingest.sources.base import FileEntry
from ingest.sources.reading import MAX_PIXELS, check_size, read_errors

MAX_FRAMES = 10_000
# Frames build on each other. Threads read them nearly in order, so the frames decoded on the way to one are kept.
MAX_KEPT_FRAMES = 32
MAX_KEPT_BYTES = 64_000_000


def count_frames(entry: FileEntry, most: int = MAX_FRAMES) -> int:
    """Return the number of frames, at least 1; `most` + 1 if there are more than `most`. Raises UnusableFile."""
    with decoder_errors(), entry.open() as file, open_image(file) as image:
        if image.format != "TIFF":
            return min(int(getattr(image, "n_frames", 1)), most + 1)
    return count_tiff_pages(entry, most)


def count_tiff_pages(entry: FileEntry, most: int) -> int:
    """Count the pages of a TIFF file. Pillow's own count takes a minute for 100,000 pages."""
    with decoder_errors(), entry.open() as file, open_image(file) as image:
        for number in range(1, most + 1):
            try:
                image.seek(number)
            except EOFError:
                return number
    return most + 1


class FrameReader:
    """Decode frames to PNG files: upright RGB, on white.

    A lock serializes the decoder; every frame is decoded once as long as frames are read nearly in order.
    """

    def __init__(self, entry: FileEntry, count: int, most_pixels: int = MAX_PIXELS) -> None:
        self._count, self._most_pixels = count, most_pixels
        self._entry, self._lock = entry, threading.Lock()
        self._image: Image.Image | None = None
        self._at = 0  # number of the last decoded frame
        self._kept: dict[int, bytes] = {}

    def __del__(self) -> None:
        self._close()

    def read(self, number: int) -> bytes:
        """Return frame `number`, counted from 1, as a PNG file. Raises UnusableFile."""
        with self._lock, decoder_errors(), ignore_pillow_warnings():
            try:
                return self._kept.pop(number) if number in self._kept else self._decode(number)
            except BaseException:
                self._close()
                raise

    def _decode(self, number: int) -> bytes:
        if self._image is None or number <= self._at:
            self._open()
        assert self._image is not None
        needs_earlier_frames = self._image.format != "TIFF"
        for earlier in range(self._at + 1, number) if needs_earlier_frames else ():
            self._keep(earlier, self._png(earlier))
        data = self._png(number)
        self._at = number
        if number == self._count:
            self._close()
        return data

    def _png(self, number: int) -> bytes:
        image = self._image
        assert image is not None
        image.seek(number - 1)
        if image.width * image.height > self._most_pixels:
            limit = f"the limit is {self._most_pixels / 1e6:g} megapixels"
            raise UnusableFile(f"a frame of {image.width} x {image.height}; {limit}")
        image.load()
        out = io.BytesIO()
        upright_rgb(image).save(out, "PNG", compress_level=1)
        check_size(out.tell())
        return out.getvalue()

    def _keep(self, number: int, data: bytes) -> None:
        self._at = number
        self._kept[number] = data
        while len(self._kept) > MAX_KEPT_FRAMES or sum(map(len, self._kept.values())) > MAX_KEPT_BYTES:
            self._kept.pop(next(iter(self._kept)))

    def _open(self) -> None:
        self._close()
        file = self._entry.open()
        try:
            self._image = identify_image(file)
            self._file = file
        except BaseException:
            file.close()
            raise

    def _close(self) -> None:
        if self._image is not None:
            self._image.close()
            self._file.close()
        self._image, self._at = None, 0


@contextmanager
def decoder_errors() -> Iterator[None]:
    """Context manager: convert every error of a decoder to UnusableFile."""
    try:
        with read_errors():
            yield
    except UnusableFile as problem:
        if isinstance(problem.__cause__, UnidentifiedImageError):  # an OSError too
            raise UnusableFile(f"not an image that can be read (supported: {', '.join(PILLOW_FORMATS)})") from problem
        raise
    except Exception as error:  # SyntaxError, ValueError, IndexError, struct.error, EOFError, ...
        raise UnusableFile(f"broken or truncated image ({error})") from error
