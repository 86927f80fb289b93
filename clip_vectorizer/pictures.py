"""A decoded picture made upright and RGB, whatever mode, orientation or background it was stored with."""

from contextlib import suppress

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
WHITE = (255, 255, 255, 255)
# Whoever opens a file checks its header against a limit of its own, with a sentence instead of a warning.
Image.MAX_IMAGE_PIXELS = None


def upright_rgb(image: Image.Image) -> Image.Image:
    """The loaded picture turned as its EXIF says, alpha on white, 16-bit grey scaled to 8. May change `image`."""
    with suppress(Exception):  # an EXIF block may be broken where the pixels are fine
        ImageOps.exif_transpose(image, in_place=True)
    return rgb(image)


def rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return eight_bit(image).convert("RGB")
    if image.has_transparency_data:
        return on_white(image.convert("RGBA"))
    return image.convert("RGB")


def eight_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 bits or floats of 0..1, 0..255 or 0..65535, scaled to 0..255; Pillow would clip all at 255."""
    grey = np.array(image, dtype=np.float32)  # in place from here: 400 MB of the largest picture
    np.nan_to_num(grey, copy=False, posinf=np.inf)  # NaN, a pixel without a value: black
    top = float_top(grey) if image.mode == "F" else 65535.0
    np.clip(grey, 0, top, out=grey)
    grey *= 255 / top
    return Image.fromarray(np.rint(grey, out=grey).astype(np.uint8))


def float_top(grey: npt.NDArray[np.float32]) -> float:
    """White in a float picture, which no header tells: the least usual range that holds all its values."""
    brightest = grey.max(initial=0, where=np.isfinite(grey))
    return next((top for top in (1.0, 255.0) if brightest <= top), 65535.0)


def on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, WHITE)
    return Image.alpha_composite(ground, image).convert("RGB")
