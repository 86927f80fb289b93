"""Resizes and crops an upright RGB image to the square of bytes that a model takes; normalised later, on the device.

S input side
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.images import PIXELS_VERSION
from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.models.tokens import TextTokenizer
from clip_vectorizer.vectors import Box, Pixels

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
LONGEST_RATIO = 8  # of an image's sides; longer ends, which the crop to the square drops, are cut before enlarging

# The operators behind F.interpolate(antialias=True); they accept a scale that is no ratio of two whole sizes.
SHRINK = {
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.default,
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.default,
}
PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

ResizeMode = Literal["shortest", "longest", "corner", "squash"]  # corner: as longest, at the left top
Interpolation = Literal["bicubic", "bilinear"]
Crop = Literal["round", "floor"]  # half a pixel beside the middle: torchvision rounds it to even, transformers down


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


def prepare_pixels(image: Image.Image, recipe: PixelRecipe, box: Box | None = None) -> Pixels:
    """Return (S, S, 3) uint8 of an upright RGB image, or of `box` in it (left, top, right, bottom, in pixels).

    >>> prepare_pixels(Image.new("RGB", (640, 480)), PixelRecipe(48)).shape
    (48, 48, 3)
    """
    size, box = recipe.size, box or (0.0, 0.0, *image.size)
    if recipe.resize == "squash":
        return resize_box(image, box, size, size, recipe.interpolation)
    if recipe.resize in ("longest", "corner"):
        return pad_to_square(image, box, recipe)
    image, box = crop_far_ends(image, box)
    shortest = min(sides(box))
    scale = size / shortest
    # truncated like in torchvision, not rounded
    wide, high = (int(scale * side) if side != shortest else size for side in sides(box))
    return crop_centre(resize_box(image, box, high, wide, recipe.interpolation), size, recipe.crop)


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


def pad_to_square(image: Image.Image, box: Box, recipe: PixelRecipe) -> Pixels:
    """Scale the whole image into the middle of the square, or into its left top corner."""
    size, longest = recipe.size, max(sides(box))
    wide, high = (max(1, round(side * size / longest)) for side in sides(box))
    left, top = (0, 0) if recipe.resize == "corner" else ((size - wide) // 2, (size - high) // 2)
    square = np.full((size, size, 3), recipe.fill, dtype=np.uint8)
    square[top : top + high, left : left + wide] = resize_box(image, box, high, wide, recipe.interpolation)
    return square


def crop_centre(pixels: Pixels, size: int, crop: Crop = "round") -> Pixels:
    high, wide = pixels.shape[:2]
    whole = round if crop == "round" else int
    top, left = whole((high - size) / 2), whole((wide - size) / 2)
    return np.ascontiguousarray(pixels[top : top + size, left : left + size])


def resize_box(image: Image.Image, box: Box, high: int, wide: int, interpolation: Interpolation) -> Pixels:
    """Resize `box` with antialiasing to (high, wide, 3) uint8: the pixels of Pillow, within one grey level.

    torch shrinks several times faster than Pillow. Pillow is used where torch would differ by up to 7 levels
    (enlarging), or has no parameter (a box that does not start at the corner).
    """
    if sides(box) == (wide, high) == image.size:
        return np.asarray(image)
    across, down = sides(box)
    if wide > across or high > down or box[:2] != (0, 0):
        return np.asarray(image.resize((wide, high), PILLOW[interpolation], box))
    # Channels last: torch would otherwise repack the image in as many threads as a model uses, which compete with
    # those of the model.
    picture = torch.from_numpy(np.array(image))[None].permute(0, 3, 1, 2)
    small: Tensor = SHRINK[interpolation](picture, [high, wide], False, high / down, wide / across)
    result: Pixels = small[0].permute(1, 2, 0).numpy()
    return result


@dataclass(frozen=True, slots=True)
class TorchPreparer:
    """Prepares the inputs of a torch model. Holds no weights, so it can be pickled for another process."""

    tokenizer: TextTokenizer
    recipe: PixelRecipe
    info: ModelInfo

    def prepare_text(self, text: str) -> PreparedText:
        return self.tokenizer(text)

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        return prepare_pixels(image, self.recipe, box)
