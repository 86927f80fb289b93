"""A file's bytes -> the model's square of bytes. Errors name no index: equal images of two requests are read once."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError

from clip_vectorizer.errors import ImageRefused, TooLarge, UnreadableImage
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.pictures import FORMATS, upright_rgb
from clip_vectorizer.vectors import Pixels


def prepared(encoder: Encoder, data: bytes, max_pixels: int) -> Pixels:
    """What `encoder.prepare_image` makes of the file's first frame: (S, S, 3) uint8. Any number of threads may ask.

    Raises ImageRefused: 413 before decoding more than `max_pixels`, 422 for what cannot be read.
    """
    return encoder.prepare_image(read(data, max_pixels))


def look(data: bytes, max_pixels: int) -> int:
    """The number of pixels, from the header alone. Raises ImageRefused as `prepared` does, as far as a header tells."""
    with opened(data, max_pixels) as image:
        return image.width * image.height


def read(data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, upright, RGB, alpha on white."""
    with opened(data, max_pixels) as image:
        image.load()
        return upright_rgb(image)


@contextmanager
def opened(data: bytes, max_pixels: int) -> Iterator[Image.Image]:
    """The file, its header read; whatever a decoder raises meanwhile becomes ImageRefused."""
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            refuse_bombs(image, max_pixels)
            yield image
    except ImageRefused:
        raise
    except UnidentifiedImageError as error:
        raise ImageRefused(422, "not an image that can be read") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
        raise ImageRefused(422, f"broken or truncated ({error})") from error


def refuse_bombs(image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise ImageRefused(
            413,
            f"{image.width} x {image.height} is {pixels / 1e6:.0f} megapixels; "
            f"the limit is {max_pixels / 1e6:.0f} (CLIP_MAX_PIXELS): send a smaller one",
        )


def read_image(index: int, data: bytes, max_pixels: int) -> Image.Image:
    """As `read`, for a caller that knows the place. Raises TooLarge and UnreadableImage, which name it."""
    try:
        return read(data, max_pixels)
    except ImageRefused as error:
        if error.status == TooLarge.status:
            raise TooLarge(f"images[{index}]: {error.reason}") from error
        raise UnreadableImage(index, error.reason) from error
