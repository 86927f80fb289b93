"""Reads how transformers prepares images: `preprocessor_config.json`, or `processor_config.json` of newer versions.

Imports no transformers: a Chinese CLIP is served without it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.hub_folders import read_json
from clip_vectorizer.models.preprocess import Interpolation, PixelRecipe, ResizeMode

PREPROCESSOR, JOINT_PROCESSOR = "preprocessor_config.json", "processor_config.json"
RESAMPLING: dict[int, Interpolation] = {2: "bilinear", 3: "bicubic"}  # by Pillow's numbers
HALF = (0.5, 0.5, 0.5)
CROP_SIDE = 224  # transformers' where a file leaves it out
# What transformers does where a file leaves a key out, by `model_type`. Its rounding of crops is "floor".
DEFAULTS = {
    "clip": PixelRecipe(224, crop="floor"),
    "siglip": PixelRecipe(224, HALF, HALF, resize="squash", crop="floor"),
}


def read_image_processor(folder: Path, kind: str) -> PixelRecipe | None:
    """Return what the files in `folder` say of images; None where there is none. `kind`: a key of `DEFAULTS`.

    Raises ModelUnavailable for what is no preprocessing to squares.
    """
    file = folder / (PREPROCESSOR if (folder / PREPROCESSOR).exists() else JOINT_PROCESSOR)
    stated = read_image_part(file)
    if stated is None:
        return None
    try:
        return parse_image_processor(stated, kind)
    except ValueError as error:
        raise ModelUnavailable(f"{file} {error}") from error
    except TypeError as error:
        raise ModelUnavailable(f"{file} is no preprocessing of images ({error})") from error


def read_image_part(file: Path) -> Mapping[str, Any] | None:
    """Return what `file` says of images; None where it does not exist or says nothing of them."""
    if not file.exists():
        return None
    content = read_json(file)
    found = content if file.name == PREPROCESSOR else content.get("image_processor")
    return found if isinstance(found, dict) else None


def parse_image_processor(stated: Mapping[str, Any], kind: str) -> PixelRecipe:
    """Raises ValueError with the end of a sentence about the file, and TypeError, where this is no CLIP's.

    >>> parse_image_processor({"size": {"height": 224, "width": 224}, "do_center_crop": False}, "clip").resize
    'squash'
    >>> parse_image_processor({"size": 224, "crop_size": 224}, "clip").resize
    'shortest'
    """
    if not all(stated.get(step, True) for step in ("do_resize", "do_normalize")):
        raise ValueError("does not resize or not normalise; expected both")
    usual = DEFAULTS[kind]
    side, resize = read_size(stated["size"]) if stated.get("size") else (usual.size, usual.resize)
    check_crop(stated, side, resize, crops=kind == "clip" and stated.get("do_center_crop", True))
    number = stated.get("resample", 3)
    if number not in RESAMPLING:
        raise ValueError(f"has resample {number}; expected 2 (bilinear) or 3 (bicubic)")
    return replace(
        usual,
        size=side,
        mean=tuple(stated.get("image_mean") or usual.mean),
        std=tuple(stated.get("image_std") or usual.std),
        resize=resize,
        interpolation=RESAMPLING[number],
    )


def read_size(size: Any) -> tuple[int, ResizeMode]:
    """Return the side of the square, and how an image comes to it.

    >>> read_size({"height": 224, "width": 336})
    Traceback (most recent call last):
    ValueError: has size {'height': 224, 'width': 336}; expected shortest_edge, or equal height and width
    """
    match size:
        case int() | {"shortest_edge": int()}:
            return (size if isinstance(size, int) else size["shortest_edge"]), "shortest"
        case {"height": int(high), "width": int(wide)} if high == wide:
            return high, "squash"
    raise ValueError(f"has size {size!r}; expected shortest_edge, or equal height and width")


def check_crop(stated: Mapping[str, Any], side: int, resize: ResizeMode, crops: bool) -> None:
    """Raise ValueError where the result is no square of `side`."""
    if not crops and resize == "shortest":
        raise ValueError("neither crops nor squashes; expected do_center_crop, or equal height and width")
    if crops and (cut := read_size(stated.get("crop_size") or CROP_SIDE)[0]) != side:
        raise ValueError(f"crops {side} pixels to {cut}; expected one size for `size` and `crop_size`")


def check_side(folder: Path, side: int, expected: int) -> None:
    """Raise ModelUnavailable where images are not prepared as large as the image tower takes them."""
    if side != expected:
        raise ModelUnavailable(f"{folder / PREPROCESSOR} makes {side} pixels, but the image tower takes {expected}")
