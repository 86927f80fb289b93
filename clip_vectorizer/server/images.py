"""A file's bytes -> an upright RGB picture, whatever mode, orientation or background it was stored with."""

import io
from contextlib import suppress

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from clip_vectorizer.errors import RequestRefused, TooLarge, UnreadableImage

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
WHITE = (255, 255, 255, 255)
# Ours replaces it: `refuse_bombs` reads the header before a pixel is decoded, and answers with an error, not a warning.
Image.MAX_IMAGE_PIXELS = None


def read_image(index: int, data: bytes, max_pixels: int) -> Image.Image:
    """The first frame, upright, RGB, alpha on white.

    Raises TooLarge before decoding more than `max_pixels`, and UnreadableImage; both name `index`.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            refuse_bombs(index, image, max_pixels)
            image.load()
            return rgb(upright(image))
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


def upright(image: Image.Image) -> Image.Image:
    with suppress(Exception):  # an EXIF block may be broken where the pixels are fine
        ImageOps.exif_transpose(image, in_place=True)
    return image


def rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return eight_bit(image).convert("RGB")
    if image.has_transparency_data:
        return on_white(image.convert("RGBA"))
    return image.convert("RGB")


def eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits scaled by 257, floats of 0..1 by 255; Pillow would clip both at 255."""
    grey = np.asarray(image, dtype=np.float32)
    top = 1.0 if image.mode == "F" and grey.max(initial=0) <= 1 else 65535.0
    return Image.fromarray(np.rint(grey.clip(0, top) * (255 / top)).astype(np.uint8))


def on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, WHITE)
    return Image.alpha_composite(ground, image).convert("RGB")
