"""Reads transformers' `preprocessor_config.json`: how a model's input is made from an image."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.preprocess import OPENAI_MEAN, OPENAI_STD, Interpolation, PixelRecipe

PREPROCESSOR = "preprocessor_config.json"
RESAMPLING: dict[int, Interpolation] = {2: "bilinear", 3: "bicubic"}  # by Pillow's numbers


def read_image_processor(folder: Path, usual: PixelRecipe) -> PixelRecipe:
    """Return the recipe of `preprocessor_config.json` in `folder`, which must end in `usual.size`; without one `usual`.

    Raises ModelUnavailable for what is no square of the model's size.
    """
    file = folder / PREPROCESSOR
    if not file.is_file():
        return usual
    try:
        recipe = parse_image_processor(json.loads(file.read_text("utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"{file} is no preprocessing of square images ({error})") from error
    if recipe.size != usual.size:
        raise ModelUnavailable(f"{file} makes images of {recipe.size} pixels a side, the model takes {usual.size}")
    return recipe


def parse_image_processor(config: Mapping[str, Any]) -> PixelRecipe:
    """Raises KeyError, ValueError, TypeError for a configuration that is not one of CLIP's.

    >>> parse_image_processor({"size": {"height": 224, "width": 224}, "do_center_crop": False}).resize
    'squash'
    >>> parse_image_processor({"size": 224, "crop_size": 224}).resize
    'shortest'
    """
    if not all(config.get(step, True) for step in ("do_resize", "do_normalize")):
        raise ValueError("it does not resize or not normalise")
    size = config["size"]
    exact = isinstance(size, Mapping) and "height" in size
    side = find_square_side(size)
    if not exact and not config.get("do_center_crop", True):
        raise ValueError("it neither crops nor squashes")
    if config.get("do_center_crop", True) and find_square_side(config.get("crop_size", size)) != side:
        raise ValueError("it resizes to one size and crops to another")
    return PixelRecipe(
        size=side,
        mean=tuple(config.get("image_mean") or OPENAI_MEAN),
        std=tuple(config.get("image_std") or OPENAI_STD),
        resize="squash" if exact else "shortest",
        interpolation=RESAMPLING[config.get("resample", 3)],
        crop="floor",  # transformers' rounding
    )


def find_square_side(size: Any) -> int:
    """Return the side of 224, {"shortest_edge": 224} or {"height": 224, "width": 224}. Raises ValueError.

    >>> find_square_side({"height": 224, "width": 336})
    Traceback (most recent call last):
    ValueError: {'height': 224, 'width': 336} is no square
    """
    sides = set(size.values()) if isinstance(size, Mapping) else {size}
    if len(sides) != 1:
        raise ValueError(f"{size} is no square")
    return int(sides.pop())
