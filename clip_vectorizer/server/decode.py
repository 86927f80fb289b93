"""Decodes a file into the model's pixels. Errors have no position: equal images of two requests are decoded once."""

import io
from collections.abc import Callable, Iterator
from typing import TypeVar

from PIL import Image, UnidentifiedImageError

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.pillow import open_image
from clip_vectorizer.images.upright import small_rgb
from clip_vectorizer.models.encoder import Preparer
from clip_vectorizer.vectors import Box, Pixels

# How many times the model's side an image keeps when it is decoded smaller (benchmarks/decode.py). With the bundled
# model, which is sensitive to it, the least cosine to the full decode's vector was about 0.999 at 2, 0.998 at 1.67 and
# 0.994 at 1.25; noise of one grey level costs as much as 2 does.
SIZE_MARGIN = 2
MAX_SCANS = 50  # of a progressive JPEG: encoders make about 10, and each costs a pass over the whole image
START_OF_SCAN = b"\xff\xda"  # in a JPEG's data no other 0xff comes before 0xda
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")  # invisible; a decoder unpacks them and has limits for them
CHUNK_OVERHEAD = 12  # bytes of a chunk besides its body: length, name, checksum
ResultT = TypeVar("ResultT")


def decode_pixels(encoder: Preparer, data: bytes, max_pixels: int) -> Pixels:
    """The first frame of a file, prepared by `encoder.prepare_image`: (S, S, 3) uint8. Thread-safe.

    Raises ImageRefused: 413 before decoding more than `max_pixels`, 422 for an unreadable file.
    """
    return encoder.prepare_image(*read_image(data, SIZE_MARGIN * encoder.info.image_size, max_pixels))


def count_pixels(data: bytes, max_pixels: int) -> int:
    """The number of pixels, from the header alone. Raises ImageRefused as far as the header shows a fault."""
    return use_image(data, max_pixels, image_area)


def read_image(data: bytes, least_side: int, max_pixels: int) -> tuple[Image.Image, Box]:
    """The first frame, upright, RGB, alpha on white, and its box; shrunk where no side gets below `least_side`."""

    def small(image: Image.Image) -> tuple[Image.Image, Box]:
        if "progressive" in image.info:
            check_scan_count(data)
        return small_rgb(image, least_side)

    return use_image(data, max_pixels, small)


def image_area(image: Image.Image) -> int:
    return image.width * image.height


def use_image(data: bytes, max_pixels: int, use: Callable[[Image.Image], ResultT]) -> ResultT:
    """The result of `use` for the opened file of checked size. Retries without texts if they may be the fault."""
    try:
        return try_image(data, max_pixels, use)
    except ImageRefused as error:
        lean = strip_text_chunks(data)
        if error.status != 422 or lean is data:
            raise
    return try_image(lean, max_pixels, use)


def try_image(data: bytes, max_pixels: int, use: Callable[[Image.Image], ResultT]) -> ResultT:
    try:
        with open_image(io.BytesIO(data)) as image:
            check_pixel_count(image, max_pixels)
            return use(image)
    except ImageRefused:
        raise
    except Image.DecompressionBombError as error:  # only where the process has not lifted Pillow's limit
        raise ImageRefused(413, f"too many pixels ({error}); send a smaller one") from error
    except UnidentifiedImageError as error:
        raise ImageRefused(422, "not an image that can be read") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
        raise ImageRefused(422, f"broken or truncated ({error})") from error


def check_pixel_count(image: Image.Image, max_pixels: int) -> None:
    """Raises ImageRefused."""
    pixels = image_area(image)
    if pixels > max_pixels:
        raise ImageRefused(
            413,
            f"{image.width} x {image.height} is {pixels / 1e6:.0f} megapixels; "
            f"the limit is {max_pixels / 1e6:.0f} (CLIP_MAX_PIXELS): send a smaller one",
        )


def check_scan_count(data: bytes) -> None:
    """Raises ImageRefused: a progressive JPEG of a few bytes may need thousands of passes over all its pixels."""
    if data.count(START_OF_SCAN) > MAX_SCANS:
        raise ImageRefused(422, f"a progressive JPEG of more than {MAX_SCANS} scans; save it anew")


def strip_text_chunks(data: bytes) -> bytes:
    """The PNG file without its texts, which decoders reject if they are long; `data` itself where it has none."""
    if not data.startswith(PNG_SIGNATURE) or not any(name in data for name in TEXT_CHUNKS):
        return data
    return PNG_SIGNATURE + b"".join(chunk for chunk in split_chunks(data) if chunk[4:8] not in TEXT_CHUNKS)


def split_chunks(data: bytes) -> Iterator[bytes]:
    """Length, name, body and checksum of each chunk; the last one may be incomplete."""
    start = len(PNG_SIGNATURE)
    while start < len(data):
        end = start + CHUNK_OVERHEAD + int.from_bytes(data[start : start + 4])
        yield data[start:end]
        start = end
