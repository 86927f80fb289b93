"""Resizes and crops an upright RGB image to the square of bytes that a model takes; normalised later, on the device.

The recipe is in `images/model_input.py`; here torch shrinks.
"""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.images.model_input import (
    OPENAI_MEAN,
    OPENAI_STD,
    PixelRecipe,
    ResizeMode,
    Shrinking,
    parse_pixel_recipe,
    prepare_input,
    sides,
)
from clip_vectorizer.images.resampling import Interpolation
from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.models.tokens import TextTokenizer
from clip_vectorizer.vectors import Box, Pixels

__all__ = [
    "OPENAI_MEAN",
    "OPENAI_STD",
    "Interpolation",
    "PixelRecipe",
    "ResizeMode",
    "TorchPreparer",
    "parse_pixel_recipe",
    "prepare_pixels",
    "sides",
]

# The operators behind F.interpolate(antialias=True); they accept a scale that is no ratio of two whole sizes.
SHRINK = {
    "bicubic": torch.ops.aten._upsample_bicubic2d_aa.default,
    "bilinear": torch.ops.aten._upsample_bilinear2d_aa.default,
}


def prepare_pixels(image: Image.Image, recipe: PixelRecipe, box: Box | None = None) -> Pixels:
    """Return (S, S, 3) uint8 of an upright RGB image, or of `box` in it (left, top, right, bottom, in pixels).

    >>> prepare_pixels(Image.new("RGB", (640, 480)), PixelRecipe(48)).shape
    (48, 48, 3)
    """
    return prepare_input(image, recipe, box, shrink_by_torch)


def shrink_by_torch(work: Shrinking) -> Pixels:
    # Channels last: torch would otherwise repack the image in as many threads as a model uses, which compete with
    # those of the model.
    picture = torch.from_numpy(np.array(work.picture))[None].permute(0, 3, 1, 2)
    (wide, high), (across, down) = work.size, work.ratio
    small: Tensor = SHRINK[work.interpolation](picture, [high, wide], False, down, across)
    left, top, right, bottom = work.window
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy()[top:bottom, left:right])


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
