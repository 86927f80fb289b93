"""Image files opened by Pillow without side effects: no limit, warning or plugin of the process changes."""

import re
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module, util
from typing import IO, Any

from PIL import Image, ImageFile, UnidentifiedImageError

from clip_vectorizer.images.formats import is_heif

PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
PREFIX_BYTES = 64  # what formats are identified by


@contextmanager
def open_image(file: IO[bytes]) -> Iterator[ImageFile.ImageFile]:
    """Open an image file; only its header is read. Use the image inside the `with` block only.

    Pillow's limit of pixels does not apply: check `image.size` against a limit of your own before you load it.
    Warnings of Pillow are ignored (a corrupt EXIF block of an image with good pixels).
    Raises UnidentifiedImageError, and what Pillow's decoders raise: OSError, SyntaxError, ValueError, ...

    >>> import io
    >>> file = io.BytesIO()
    >>> Image.new("RGB", (3, 2)).save(file, "PNG")
    >>> with open_image(file) as image:
    ...     image.size
    (3, 2)
    """
    with ignore_pillow_warnings(), identify_image(file) as image:
        yield image


def identify_image(file: IO[bytes]) -> ImageFile.ImageFile:
    """As `PIL.Image.open` for the formats of this project, without its limit of pixels, a setting of the process.

    Raises UnidentifiedImageError.
    """
    file.seek(0)
    prefix = file.read(PREFIX_BYTES)
    if any(name not in Image.OPEN for name in PILLOW_FORMATS):
        Image.init()
    for name in PILLOW_FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is None or (accept and accept(prefix) is not True):
            continue  # `accept` returns a message for a format that Pillow was built without
        file.seek(0)
        with suppress(SyntaxError, IndexError, TypeError, struct.error):  # the next format may fit
            image = factory(file, "")
            image.info.pop("xmp", None)  # a TIFF would be turned by it when it is loaded: see upright.read_orientation
            return image
    if has_heif() and is_heif(prefix):
        file.seek(0)
        return open_heif(file)
    raise UnidentifiedImageError("cannot identify the image file")


def has_heif() -> bool:
    """Whether the extra `heif` is installed. It is optional because its wheels contain a library under the GPL."""
    return util.find_spec("pillow_heif") is not None


def open_heif(file: IO[bytes]) -> ImageFile.ImageFile:
    """Open a HEIC photo; its pixels come upright, and so does its EXIF orientation. Raises SyntaxError, ValueError."""
    plugin: Any = import_module("pillow_heif.as_plugin")
    image: ImageFile.ImageFile = plugin.HeifImageFile(file, "")
    return image


class WarningFilter:
    """Ignores warnings of some modules while any thread is inside. A context manager, reentrant.

    `warnings.catch_warnings` copies and restores the filters of the process: of two threads that overlap, the later one
    restores those of the earlier. This one adds its own entries, and removes exactly these when the last thread leaves.
    """

    def __init__(self, module: str, *categories: type[Warning]) -> None:
        self._entries: list[Any] = [("ignore", None, category, re.compile(module), 0) for category in categories]
        self._lock, self._inside = threading.Lock(), 0
        self._changed: list[list[Any]] = []  # a program may exchange the list of filters meanwhile

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            filters: Any = warnings.filters
            if not self._is_first(filters):
                filters[:0] = self._entries
                self._changed.append(filters)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                for filters in self._changed:
                    filters[:] = [entry for entry in filters if not any(entry is own for own in self._entries)]
                self._changed.clear()

    def _is_first(self, filters: list[Any]) -> bool:
        first = filters[: len(self._entries)]
        return len(first) == len(self._entries) and all(a is b for a, b in zip(first, self._entries, strict=True))


PILLOW_WARNINGS = WarningFilter(r"PIL\.", UserWarning, RuntimeWarning)  # the latter: images over Pillow's own limit


def ignore_pillow_warnings() -> WarningFilter:
    """A context manager that ignores warnings of Pillow, in any number of threads."""
    return PILLOW_WARNINGS


def lift_pillow_limit() -> None:
    """Switch off Pillow's limit of pixels in this process, which some decoders check themselves. For entry points only.

    A program that calls it must check the size of each image before it is loaded, as the sidecar does.
    """
    Image.MAX_IMAGE_PIXELS = None
