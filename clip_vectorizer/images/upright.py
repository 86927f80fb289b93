"""Loaded images made upright RGB, of any mode, orientation and background.

Large ones are processed in bands of rows, and shrunk on the way where a small one is needed: besides the decoder's own
pixels only a band and the result are in memory.
"""

from collections.abc import Callable
from contextlib import suppress

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from clip_vectorizer.vectors import Box

WHITE = (255, 255, 255, 255)
BAND_PIXELS = 1_000_000  # 4 MB as RGBA; a smaller image is one band, and shrinking it first would gain nothing

XMP_NAMES = ("XML:com.adobe.xmp", "xmp")  # in `Image.info`

ColourFunction = Callable[[Image.Image], Image.Image]  # to sRGB: L, LA, RGB, RGBA, CMYK or LAB to RGB or RGBA
Transposition = Image.Transpose
# By EXIF orientation: the transposition that makes it upright, and whether the stored right edge and the stored bottom
# edge are the left and the top one then.
TURNS: dict[int, tuple[Transposition, bool, bool]] = {
    2: (Transposition.FLIP_LEFT_RIGHT, True, False),
    3: (Transposition.ROTATE_180, True, True),
    4: (Transposition.FLIP_TOP_BOTTOM, False, True),
    5: (Transposition.TRANSPOSE, False, False),
    6: (Transposition.ROTATE_270, False, True),
    7: (Transposition.TRANSVERSE, True, True),
    8: (Transposition.ROTATE_90, True, False),
}


def upright_rgb(image: Image.Image, convert_colour: ColourFunction | None = None) -> Image.Image:
    """The image turned by its EXIF orientation, alpha on white, 16-bit grey and floats scaled to 8 bits."""
    small, _ = turn_upright(image, convert_to_rgb(image, 1, convert_colour), image.size)
    return small


def small_rgb(
    image: Image.Image, least_side: int, convert_colour: ColourFunction | None = None
) -> tuple[Image.Image, Box]:
    """As `upright_rgb`, and 1/2, 1/4, 1/8, ... as large where that leaves no side under `least_side`; 0: full size.

    A JPEG, not loaded yet, is decoded at that scale: less work, and never all its pixels in memory. The box is the
    image's place in the result, whose outermost row and column may be covered in part only.
    """
    wide, high = image.size
    drafted = draft_jpeg(image, power_of_two(min(wide, high) // least_side)) if least_side else 1
    image.load()
    large = least_side and image.width * image.height > BAND_PIXELS
    shrink = power_of_two(min(image.size) // least_side) if large else 1
    factor = drafted * shrink
    return turn_upright(image, convert_to_rgb(image, shrink, convert_colour), (wide / factor, high / factor))


def draft_jpeg(image: Image.Image, most: int) -> int:
    """How many times smaller the file will be decoded: `most` at most, 1 for all formats but JPEG."""
    wide = image.width
    if most > 1:
        image.draft("RGB", (image.width // most, image.height // most))
    return round(wide / image.width)


def power_of_two(most: int) -> int:
    """The largest power of two up to `most`, and at least 1. Dividing a size by it is exact.

    >>> [power_of_two(most) for most in (0, 1, 3, 4)]
    [1, 1, 2, 4]
    """
    return 1 << max(0, most.bit_length() - 1)


def turn_upright(image: Image.Image, small: Image.Image, size: tuple[float, float]) -> tuple[Image.Image, Box]:
    """`small` turned by the EXIF orientation of `image`, and the box of its first `size` columns and rows."""
    box = (0.0, 0.0, *size)
    with suppress(Exception):  # an EXIF block may be broken where the pixels are fine
        turn, right_first, bottom_first = TURNS[read_orientation(image)]
        left, top = ((small.width - size[0]) * right_first, (small.height - size[1]) * bottom_first)
        box = (left, top, left + size[0], top + size[1])
        if turn in (
            Transposition.TRANSPOSE,
            Transposition.ROTATE_270,
            Transposition.TRANSVERSE,
            Transposition.ROTATE_90,
        ):
            box = (box[1], box[0], box[3], box[2])
        return small.transpose(turn), box
    return small, box


def read_orientation(image: Image.Image) -> int:
    """From EXIF or the tags of a TIFF file. Pillow reads XMP too where these have none; browsers and libvips do not."""
    if "exif" in image.info:
        exif = Image.Exif()
        exif.load(image.info["exif"])
    elif hasattr(image, "tag_v2"):
        return int(image.tag_v2.get(ExifTags.Base.Orientation, 1))
    else:
        hidden = {name: image.info.pop(name) for name in XMP_NAMES if name in image.info}
        try:
            exif = image.getexif()
        finally:
            image.info.update(hidden)
    return int(exif.get(ExifTags.Base.Orientation, 1))


def convert_to_rgb(image: Image.Image, shrink: int, convert_colour: ColourFunction | None = None) -> Image.Image:
    """A loaded image as RGB; each pixel is the mean of `shrink` x `shrink`, fewer at the right and bottom edge."""
    if shrink == 1 and image.mode == "RGB" and not image.has_transparency_data and convert_colour is None:
        return image
    top = find_white_level(image)
    if image.width * image.height <= BAND_PIXELS:
        return shrink_image(convert_band(image, top, convert_colour), shrink)
    result = Image.new("RGB", (-(-image.width // shrink), -(-image.height // shrink)))
    for start in range(0, image.height, rows := shrink * max(1, BAND_PIXELS // image.width // shrink)):
        band = image.crop((0, start, image.width, min(start + rows, image.height)))
        result.paste(shrink_image(convert_band(band, top, convert_colour), shrink), (0, start // shrink))
    return result


def shrink_image(image: Image.Image, shrink: int) -> Image.Image:
    return image.reduce(shrink) if shrink > 1 else image


def convert_band(image: Image.Image, top: float, convert_colour: ColourFunction | None) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = scale_to_8_bits(image, top)
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.has_transparency_data:
        image = expand_transparency(image)
    if convert_colour:
        image = convert_colour(image)
    return blend_on_white(image.convert("RGBA")) if image.has_transparency_data else image.convert("RGB")


def expand_transparency(image: Image.Image) -> Image.Image:
    """Alpha as a band of its own: an image may have one colour that is transparent instead."""
    if image.mode in ("LA", "RGBA"):
        return image
    return image.convert("LA" if image.mode in ("L", "La", "1") else "RGBA")


def find_white_level(image: Image.Image) -> float:
    """The level of white: 65535 in 16-bit grey; in a float image, whose header has none, see `choose_float_white`."""
    if image.mode != "F":
        return 65535.0
    rows = max(1, BAND_PIXELS // image.width)
    bands = (image.crop((0, y, image.width, min(y + rows, image.height))) for y in range(0, image.height, rows))
    return choose_float_white(max(find_brightest(np.asarray(band)) for band in bands))


def find_brightest(grey: npt.NDArray[np.float32]) -> float:
    return float(grey.max(initial=0, where=np.isfinite(grey)))


def choose_float_white(brightest: float) -> float:
    """The smallest usual range with all values: 0..1, 0..255 or 0..65535.

    >>> choose_float_white(200.0)
    255.0
    """
    return next((top for top in (1.0, 255.0) if brightest <= top), 65535.0)


def scale_to_8_bits(image: Image.Image, top: float) -> Image.Image:
    """Grey of 0..`top` scaled to 0..255, with alpha if one level is transparent; Pillow would clip all at 255."""
    grey = np.array(image, dtype=np.float32)
    transparent = image.info.get("transparency")
    alpha = np.where(grey == transparent, 0, 255).astype(np.uint8) if isinstance(transparent, int) else None
    np.nan_to_num(grey, copy=False, posinf=np.inf)  # NaN, a pixel without a value, becomes black
    np.clip(grey, 0, top, out=grey)
    grey *= 255 / top
    levels = np.rint(grey, out=grey).astype(np.uint8)
    return Image.fromarray(levels if alpha is None else np.dstack((levels, alpha)))


def blend_on_white(image: Image.Image) -> Image.Image:
    ground = Image.new("RGBA", image.size, WHITE)
    return Image.alpha_composite(ground, image).convert("RGB")
