"""From an upright RGB picture to the model's square of bytes. Normalisation happens later, on the device.

S input side · H, W height and width of a picture

What a torch model's inputs are made with: no weights, so it can be pickled and sent to another process.
"""

from collections.abc import Mapping, Sequence
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
LONGEST_RATIO = 8  # of a picture's sides; what a crop to the square will drop is dropped before it is enlarged

# What F.interpolate(antialias=True) calls; it takes a scale that is not the ratio of two whole sizes.
SHRINK = {
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.default,
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.default,
}
PILLOW = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}

ResizeMode = Literal["shortest", "longest", "squash"]
Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True, slots=True)
class PixelRecipe:
    size: int  # S
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    resize: ResizeMode = "shortest"
    interpolation: Interpolation = "bicubic"
    fill: int = 0  # grey level beside the picture, where `resize` is `longest`

    @property
    def version(self) -> str:
        return f"{self.resize}-{self.size}-{self.interpolation}-v{PIXELS_VERSION}"


def parse_pixel_recipe(size: int, config: Mapping[str, Any]) -> PixelRecipe:
    """From an open_clip `preprocess_cfg`; what it leaves out is as in OpenAI's CLIP."""
    return PixelRecipe(
        size=size,
        mean=to_channels(config.get("mean") or OPENAI_MEAN),
        std=to_channels(config.get("std") or OPENAI_STD),
        resize=config.get("resize_mode") or "shortest",
        interpolation="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
        fill=config.get("fill_color", 0),
    )


def to_channels(value: Any) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list | tuple) else (value,) * 3


def prepare_pixels(image: Image.Image, recipe: PixelRecipe, box: Box | None = None) -> Pixels:
    """(S, S, 3) uint8 of an upright RGB picture: of all of `image`, or of `box` in it."""
    size, box = recipe.size, box or (0.0, 0.0, *image.size)
    if recipe.resize == "squash":
        return resize_box(image, box, size, size, recipe.interpolation)
    if recipe.resize == "longest":
        return pad_to_square(image, box, recipe)
    image, box = crop_far_ends(image, box)
    shortest = min(sides(box))
    scale = size / shortest
    # torchvision cuts the long side down to a whole number, and so must we
    wide, high = (int(scale * side) if side != shortest else size for side in sides(box))
    return crop_centre(resize_box(image, box, high, wide, recipe.interpolation), size)


def sides(box: Box) -> tuple[float, float]:
    """Width and height."""
    left, top, right, bottom = box
    return right - left, bottom - top


def crop_far_ends(image: Image.Image, box: Box) -> tuple[Image.Image, Box]:
    """A strip of 1 x 50,000 pixels would be enlarged to gigabytes, most of which the crop drops."""
    limit = min(sides(box)) * LONGEST_RATIO
    left, top = (max(0, int((side - limit) // 2)) for side in sides(box))
    if not left and not top:
        return image, box
    kept = image.crop((left, top, image.width - left, image.height - top))
    return kept, (box[0], box[1], box[2] - 2 * left, box[3] - 2 * top)


def pad_to_square(image: Image.Image, box: Box, recipe: PixelRecipe) -> Pixels:
    """The whole picture in the middle of the square."""
    size, longest = recipe.size, max(sides(box))
    wide, high = (max(1, round(side * size / longest)) for side in sides(box))
    left, top = (size - wide) // 2, (size - high) // 2
    square = np.full((size, size, 3), recipe.fill, dtype=np.uint8)
    square[top : top + high, left : left + wide] = resize_box(image, box, high, wide, recipe.interpolation)
    return square


def crop_centre(pixels: Pixels, size: int) -> Pixels:
    high, wide = pixels.shape[:2]
    top, left = round((high - size) / 2), round((wide - size) / 2)
    return np.ascontiguousarray(pixels[top : top + size, left : left + size])


def resize_box(image: Image.Image, box: Box, high: int, wide: int, interpolation: Interpolation) -> Pixels:
    """(high, wide, 3) uint8 of `box` with antialiasing: Pillow's pixels, within one grey level where torch makes them.

    Torch shrinks several times faster. Where it enlarges it strays by up to 7 levels, and there Pillow is fast enough;
    and it has no box that starts elsewhere than at the corner.
    """
    if sides(box) == (wide, high) == image.size:
        return np.asarray(image)
    across, down = sides(box)
    if wide > across or high > down or box[:2] != (0, 0):
        return np.asarray(image.resize((wide, high), PILLOW[interpolation], box))
    # Channels last, and seen to be so by torch: then it neither packs nor unpacks, which it would do in as many threads
    # as a model may use, each of them spinning beside the model's own.
    picture = torch.from_numpy(np.array(image))[None].permute(0, 3, 1, 2)
    small: Tensor = SHRINK[interpolation](picture, [high, wide], False, high / down, wide / across)
    result: Pixels = small[0].permute(1, 2, 0).numpy()
    return result


def normalised(images: Sequence[Pixels], recipe: PixelRecipe, device: torch.device) -> Tensor:
    """(N, 3, S, S) float32 on `device`; bytes travel, floats are made there."""
    batch = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(each, device=device).view(1, 3, 1, 1) for each in (recipe.mean, recipe.std))
    return (batch / 255 - mean) / std


@dataclass(frozen=True, slots=True)
class TorchPreparer:
    reader: TextTokenizer
    recipe: PixelRecipe
    info: ModelInfo

    def prepare_text(self, text: str) -> PreparedText:
        return self.reader(text)

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        return prepare_pixels(image, self.recipe, box)
