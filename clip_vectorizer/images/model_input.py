"""From an upright RGB image to the square of bytes that a model takes: one recipe for every process that makes it.

A sidecar shrinks by torch (`models/preprocess.py`), a client without torch by numpy, to the same bytes.

S input side
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from PIL import Image

from clip_vectorizer.images import PIXELS_VERSION
from clip_vectorizer.images.opener import DecodedImage, decode_image
from clip_vectorizer.images.resampling import Interpolation, shrink_picture
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.vectors import Box, Pixels

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LONGEST_RATIO = 8  # of an image's sides; longer ends, which the crop to the square drops, are cut before enlarging
# How many times the model's side an image keeps when it is decoded smaller (benchmarks/decode.py). With the bundled
# model, which is sensitive to it, the least cosine to the full decode's vector was about 0.999 at 2, 0.998 at 1.67 and
# 0.994 at 1.25; noise of one grey level costs as much as 2 does.
SIZE_MARGIN = 2

PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

ResizeMode = Literal["shortest", "longest", "corner", "squash"]  # corner: as longest, at the left top
Crop = Literal["round", "floor"]  # half a pixel beside the middle: torchvision rounds it to even, transformers down
VERSION = re.compile(r"(?P<resize>[a-z]+)-(?P<size>\d{1,4})-(?P<interpolation>[a-z]+)(-(?P<crop>floor))?-v\d+(-raw)?")


@dataclass(frozen=True, slots=True)
class PixelRecipe:
    """How a model's input is made from an image."""

    size: int  # S
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    resize: ResizeMode = "shortest"
    interpolation: Interpolation = "bicubic"
    fill: int = 0  # grey level of the padding, where `resize` is `longest` or `corner`
    crop: Crop = "round"

    @property
    def version(self) -> str:
        crop = "" if self.crop == "round" or self.resize != "shortest" else f"-{self.crop}"
        return f"{self.resize}-{self.size}-{self.interpolation}{crop}-v{PIXELS_VERSION}"


def parse_pixel_recipe(size: int, config: Mapping[str, Any]) -> PixelRecipe:
    """Read an open_clip `preprocess_cfg`; missing keys have the values of OpenAI's CLIP."""
    return PixelRecipe(
        size=size,
        mean=to_channels(config.get("mean") or OPENAI_MEAN),
        std=to_channels(config.get("std") or OPENAI_STD),
        resize=config.get("resize_mode") or "shortest",
        interpolation="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
        fill=config.get("fill_color", 0),
        crop="floor" if config.get("crop") == "floor" else "round",
    )


def to_channels(value: Any) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,) * 3


def parse_version(version: str) -> PixelRecipe | None:
    """The recipe of a `PixelRecipe.version`, without mean and deviation; None if that does not contain all of it.

    >>> parse_version("shortest-64-bicubic-v2") is None  # of another version of this project
    True
    """
    found = VERSION.fullmatch(version)
    if not found or found["resize"] not in ("shortest", "squash") or found["interpolation"] not in PILLOW:
        return None  # padding has a grey level, which the version does not contain
    recipe = PixelRecipe(
        int(found["size"]),
        resize=cast(ResizeMode, found["resize"]),
        interpolation=cast(Interpolation, found["interpolation"]),
        crop="floor" if found["crop"] else "round",
    )
    return recipe if recipe.size and recipe.version == version.removesuffix("-raw") else None


@dataclass(frozen=True, slots=True)
class Shrinking:
    """A picture, a box in it that begins at its corner, and the size to shrink that to; `window`: what is needed."""

    picture: Image.Image
    size: tuple[int, int]  # width and height
    ratio: tuple[float, float]  # pixels of the result for one of the picture, across and down; 1 at most
    interpolation: Interpolation
    window: tuple[int, int, int, int]  # left, top, right, bottom


ShrinkFunction = Callable[[Shrinking], Pixels]  # returns the window


def shrink_by_numpy(work: Shrinking) -> Pixels:
    left, top, right, bottom = work.window
    picture = np.asarray(work.picture)
    scale = 1 / work.ratio[0], 1 / work.ratio[1]
    return shrink_picture(picture, work.size, scale, work.interpolation, (left, right), (top, bottom))


def prepare_input(
    image: Image.Image, recipe: PixelRecipe, box: Box | None = None, shrink: ShrinkFunction = shrink_by_numpy
) -> Pixels:
    """Return (S, S, 3) uint8 of an upright RGB image, or of `box` in it (left, top, right, bottom, in pixels).

    >>> prepare_input(Image.new("RGB", (640, 480)), PixelRecipe(48)).shape
    (48, 48, 3)
    """
    size, box = recipe.size, box or (0.0, 0.0, *image.size)
    if recipe.resize == "squash":
        return resize_box(image, box, (size, size), (0, 0, size, size), recipe.interpolation, shrink)
    if recipe.resize in ("longest", "corner"):
        return pad_to_square(image, box, recipe, shrink)
    image, box = crop_far_ends(image, box)
    shortest = min(sides(box))
    scale = size / shortest
    # truncated like in torchvision, not rounded
    wide, high = (int(scale * side) if side != shortest else size for side in sides(box))
    whole = round if recipe.crop == "round" else int
    left, top = whole((wide - size) / 2), whole((high - size) / 2)
    window = left, top, left + size, top + size
    return resize_box(image, box, (wide, high), window, recipe.interpolation, shrink)


def sides(box: Box) -> tuple[float, float]:
    """Return width and height."""
    left, top, right, bottom = box
    return right - left, bottom - top


def crop_far_ends(image: Image.Image, box: Box) -> tuple[Image.Image, Box]:
    """Cut the ends of a long strip: 1 x 50,000 pixels would be enlarged to gigabytes, most of which the crop drops."""
    limit = min(sides(box)) * LONGEST_RATIO
    left, top = (max(0, int((side - limit) // 2)) for side in sides(box))
    if not left and not top:
        return image, box
    kept = image.crop((left, top, image.width - left, image.height - top))
    return kept, (box[0], box[1], box[2] - 2 * left, box[3] - 2 * top)


def pad_to_square(image: Image.Image, box: Box, recipe: PixelRecipe, shrink: ShrinkFunction) -> Pixels:
    """Scale the whole image into the middle of the square, or into its left top corner."""
    size, longest = recipe.size, max(sides(box))
    wide, high = (max(1, round(side * size / longest)) for side in sides(box))
    left, top = (0, 0) if recipe.resize == "corner" else ((size - wide) // 2, (size - high) // 2)
    square = np.full((size, size, 3), recipe.fill, dtype=np.uint8)
    whole = resize_box(image, box, (wide, high), (0, 0, wide, high), recipe.interpolation, shrink)
    square[top : top + high, left : left + wide] = whole
    return square


def resize_box(
    image: Image.Image,
    box: Box,
    size: tuple[int, int],
    window: tuple[int, int, int, int],
    interpolation: Interpolation,
    shrink: ShrinkFunction,
) -> Pixels:
    """Resize `box` with antialiasing to `size`, and return the window of it: Pillow's pixels, within one grey level.

    `shrink` is faster than Pillow, by torch several times. Pillow is used where that would differ by up to 7 levels
    (enlarging), or has no parameter (a box that does not start at the corner).
    """
    left, top, right, bottom = window
    if sides(box) == size == image.size:
        return np.ascontiguousarray(np.asarray(image)[top:bottom, left:right])
    (across, down), (wide, high) = sides(box), size
    if wide > across or high > down or box[:2] != (0, 0):
        resized = np.asarray(image.resize(size, PILLOW[interpolation], box))
        return np.ascontiguousarray(resized[top:bottom, left:right])
    return shrink(Shrinking(image, size, (wide / across, high / down), interpolation, window))


def decode_input(data: bytes, side: int, settings: DecodeSettings) -> DecodedImage:
    """The picture of a file, as small as a model's input of `side` allows; colours may be late. Raises ImageRefused."""
    return decode_image(data, settings, SIZE_MARGIN * side, late_colour=True)


def finish_input(image: DecodedImage, prepare: Callable[[Image.Image, Box], Pixels]) -> Pixels:
    """The model's input of a decoded image, in sRGB."""
    pixels = prepare(image.pixels, image.box)
    return np.array(image.to_srgb(Image.fromarray(pixels))) if image.to_srgb else pixels
