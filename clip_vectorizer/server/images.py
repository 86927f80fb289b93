"""A file's bytes -> an upright RGB picture."""

import io

from PIL import Image, UnidentifiedImageError

from clip_vectorizer.errors import RequestRefused, TooLarge, UnreadableImage
from clip_vectorizer.pictures import FORMATS, upright_rgb


def read_image(index: int, data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, upright, RGB, alpha on white.

    Raises TooLarge before decoding more than `max_pixels`, and UnreadableImage; both name `index`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            refuse_bombs(index, image, max_pixels)
            image.load()
            return upright_rgb(image)
    except RequestRefused:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImage(index, "not an image that can be read") from error
    except Exception as error:  # decoders raise OSError, SyntaxError, ValueError, IndexError, struct.error, ...
        raise UnreadableImage(index, f"broken or truncated ({error})") from error


def refuse_bombs(index: int, image: Image.Image, max_pixels: int) -> None:
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise TooLarge(
            f"images[{index}]: {image.width} x {image.height} is {pixels / 1e6:.0f} megapixels; "
            f"the limit is {max_pixels / 1e6:.0f} (CLIP_MAX_PIXELS): send a smaller one"
        )
