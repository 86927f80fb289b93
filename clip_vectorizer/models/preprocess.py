"""From an upright RGB picture to the model's square of bytes. Normalisation happens later, on the device.

S input side · H, W height and width of a picture
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.vectors import Pixels

OPENAI_MEAN, OPENAI_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
VERSION = 1  # raise it with every change of the pixels: vectors of two versions must not mix
LONGEST_RATIO = 8  # of a picture's sides; what a crop to the square will drop is dropped before it is enlarged

PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

Resize = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True, slots=True)
class PixelRecipe:
    size: int  # S
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    resize: Resize = "shortest"
    interpolation: Interpolation = "bicubic"
    fill: int = 0  # grey level beside the picture, where `resize` is `longest`

    @property
    def version(self) -> str:
        return f"{self.resize}-{self.size}-{self.interpolation}-v{VERSION}"


def recipe_of(size: int, config: Mapping[str, Any]) -> PixelRecipe:
    """From an open_clip `preprocess_cfg`; what it leaves out is as in OpenAI's CLIP."""
    return PixelRecipe(
        size=size,
        mean=triple(config.get("mean") or OPENAI_MEAN),
        std=triple(config.get("std") or OPENAI_STD),
        resize=config.get("resize_mode") or "shortest",
        interpolation="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
        fill=config.get("fill_color", 0),
    )


def triple(value: Any) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,) * 3


def prepare(image: Image.Image, recipe: PixelRecipe) -> Pixels:
    """(S, S, 3) uint8 of an upright RGB picture."""
    size = recipe.size
    if recipe.resize == "squash":
        return resized(image, size, size, recipe.interpolation)
    if recipe.resize == "longest":
        return padded(image, recipe)
    image = without_far_ends(image)
    scale = size / min(image.size)
    # torchvision cuts the long side down to a whole number, and so must we
    wide, high = (int(scale * side) if side != min(image.size) else size for side in image.size)
    return centre(resized(image, high, wide, recipe.interpolation), size)


def without_far_ends(image: Image.Image) -> Image.Image:
    """A strip of 1 x 50,000 pixels would be enlarged to gigabytes, most of which the crop drops."""
    limit = min(image.size) * LONGEST_RATIO
    left, top = (max(0, (side - limit) // 2) for side in image.size)
    return image.crop((left, top, image.width - left, image.height - top)) if left or top else image


def padded(image: Image.Image, recipe: PixelRecipe) -> Pixels:
    """The whole picture in the middle of the square."""
    size, longest = recipe.size, max(image.size)
    wide, high = (max(1, round(side * size / longest)) for side in image.size)
    left, top = (size - wide) // 2, (size - high) // 2
    square = np.full((size, size, 3), recipe.fill, dtype=np.uint8)
    square[top : top + high, left : left + wide] = resized(image, high, wide, recipe.interpolation)
    return square


def centre(pixels: Pixels, size: int) -> Pixels:
    high, wide = pixels.shape[:2]
    top, left = round((high - size) / 2), round((wide - size) / 2)
    return np.ascontiguousarray(pixels[top : top + size, left : left + size])


def resized(image: Image.Image, high: int, wide: int, interpolation: Interpolation) -> Pixels:
    """(high, wide, 3) uint8 with antialiasing: Pillow's pixels, within one grey level where torch makes them.

    Torch shrinks several times faster. Where it enlarges it strays by up to 7 levels, and there Pillow is fast enough.
    """
    if wide > image.width or high > image.height:
        return np.asarray(image.resize((wide, high), PILLOW[interpolation]))
    if image.size == (wide, high):
        return np.asarray(image)
    picture = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]  # channels last in memory: the fast layout
    small = F.interpolate(picture, size=(high, wide), mode=interpolation, antialias=True)
    result: Pixels = small[0].permute(1, 2, 0).contiguous().numpy()
    return result


def normalised(images: Sequence[Pixels], recipe: PixelRecipe, device: torch.device) -> Tensor:
    """(N, 3, S, S) float32 on `device`; bytes travel, floats are made there."""
    batch = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(each, device=device).view(1, 3, 1, 1) for each in (recipe.mean, recipe.std))
    return (batch / 255 - mean) / std
