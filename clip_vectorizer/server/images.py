"""A file's bytes -> the model's square of bytes. Errors name no index: equal images of two requests are read once."""

import io
from collections.abc import Callable
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.models.encoder import Preparer
from clip_vectorizer.pictures import FORMATS, small_rgb
from clip_vectorizer.server.png import without_texts
from clip_vectorizer.vectors import Box, Pixels

# How many times the model's side a picture keeps when it is decoded smaller (benchmarks/decode.py). With the bundled
# model, which is sensitive to it, the least cosine to the full decode's vector was about 0.999 at 2, 0.998 at 1.67 and
# 0.994 at 1.25; noise of one grey level costs as much as 2 does.
SPARE = 2
MAX_SCANS = 50  # of a progressive JPEG: encoders make about 10, and each costs a pass over the whole picture
START_OF_SCAN = b"\xff\xda"  # in a JPEG's data no other 0xff comes before 0xda
Answer = TypeVar("Answer")


def prepared(encoder: Preparer, data: bytes, max_pixels: int) -> Pixels:
    """What `encoder.prepare_image` makes of the file's first frame: (S, S, 3) uint8. Any number of threads may ask.

    Raises ImageRefused: 413 before decoding more than `max_pixels`, 422 for what cannot be read.
    """
    return encoder.prepare_image(*read(data, SPARE * encoder.info.image_size, max_pixels))


def look(data: bytes, max_pixels: int) -> int:
    """The number of pixels, from the header alone. Raises ImageRefused as `prepared` does, as far as a header tells."""
    return opened(data, max_pixels, pixels_of)


def read(data: bytes, least_side: int, max_pixels: int) -> tuple[Image.Image, Box]:
    """The first frame, upright, RGB, alpha on white, and its box; shrunk where no side comes under `least_side`."""

    def small(image: Image.Image) -> tuple[Image.Image, Box]:
        if "progressive" in image.info:
            refuse_scans(data)
        return small_rgb(image, least_side)

    return opened(data, max_pixels, small)


def pixels_of(image: Image.Image) -> int:
    return image.width * image.height


def opened(data: bytes, max_pixels: int, use: Callable[[Image.Image], Answer]) -> Answer:
    """What `use` makes of the file once its header is checked. A second try if its texts may be what is wrong."""
    try:
        return tried(data, max_pixels, use)
    except ImageRefused as error:
        lean = without_texts(data)
        if error.status != 422 or lean is data:
            raise
    return tried(lean, max_pixels, use)


def tried(data: bytes, max_pixels: int, use: Callable[[Image.Image], Answer]) -> Answer:
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            refuse_bombs(image, max_pixels)
            return use(image)
    except ImageRefused:
        raise
    except UnidentifiedImageError as error:
        raise ImageRefused(422, "not an image that can be read") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
        raise ImageRefused(422, f"broken or truncated ({error})") from error


def refuse_bombs(image: Image.Image, max_pixels: int) -> None:
    pixels = pixels_of(image)
    if pixels > max_pixels:
        raise ImageRefused(
            413,
            f"{image.width} x {image.height} is {pixels / 1e6:.0f} megapixels; "
            f"the limit is {max_pixels / 1e6:.0f} (CLIP_MAX_PIXELS): send a smaller one",
        )


def refuse_scans(data: bytes) -> None:
    """A progressive JPEG of a few bytes may ask for thousands of passes over all its pixels."""
    if data.count(START_OF_SCAN) > MAX_SCANS:
        raise ImageRefused(422, f"a progressive JPEG of more than {MAX_SCANS} scans; save it anew")
