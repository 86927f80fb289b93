"""From a file's bytes to the model's square, against Pillow and open_clip's own transform, in grey levels of 255.

What open_clip leaves to its caller is done by hand: the turn by EXIF, white behind alpha, RGB before resizing.
"""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import ExifTags, Image, ImageOps

from clip_vectorizer.images.model_input import SIZE_MARGIN
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.models.preprocess import PixelRecipe, TorchPreparer, prepare_pixels
from clip_vectorizer.models.tokens import ClipTokenizer
from clip_vectorizer.server.decode import decode_pixels
from clip_vectorizer.vectors import Pixels
from tests.fakes import INFO

MEAN_LEVELS = 0.2  # torchvision's own antialiased resize of bytes: 0.06 to 0.15; without antialiasing 11 to 21
SCALED_LEVELS = 1.0  # of pictures that are decoded or shrunk to 1/2, 1/4, ... before they are resized
MOST = DecodeSettings()
ODD = [(1, 1), (2, 3), (17, 131), (47, 49), (49, 47), (223, 225), (225, 223), (224, 224), (333, 1001), (641, 479)]


def reference(image: Image.Image, size: int, resize: str = "shortest") -> np.ndarray:
    """(S, S, 3) grey levels."""
    config = PreprocessCfg(size=size, mean=(0, 0, 0), std=(1, 1, 1), resize_mode=resize, interpolation="bicubic")
    return image_transform_v2(config, is_train=False)(on_white(image)).permute(1, 2, 0).numpy() * 255


def on_white(image: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    picture = np.asarray(upright.convert("RGBA")).astype(float)
    share = picture[..., 3:] / 255
    return Image.fromarray((picture[..., :3] * share + 255 * (1 - share)).round().astype(np.uint8))


def ours(file: bytes, size: int) -> Pixels:
    """As the sidecar makes them of a file that it is sent."""
    recipe, no_texts = PixelRecipe(size), ClipTokenizer(None, 77)
    return decode_pixels(TorchPreparer(no_texts, recipe, replace(INFO, image_size=size)), file, MOST)


def bound(size: tuple[int, int], side: int) -> float:
    return MEAN_LEVELS if min(size) < 2 * SIZE_MARGIN * side else SCALED_LEVELS


def difference(file: bytes, size: int) -> np.ndarray:
    with Image.open(io.BytesIO(file)) as image:
        return np.abs(ours(file, size).astype(float) - reference(image, size))


def scene(size: tuple[int, int]) -> Image.Image:
    """Shades, noise and hard edges; no symmetry, so that a wrong turn shows."""
    wide, high = size
    across, down = np.meshgrid(np.linspace(0, 1, wide), np.linspace(0, 1, high))
    stripes = (np.arange(wide) // 5 % 2)[None, :] * (down > 0.7)
    noise = np.random.default_rng(1).normal(0, 12, (high, wide))
    planes = [200 * across + noise, 180 * down + 40 * stripes, 120 + 100 * (across * down > 0.4) + noise]
    return Image.fromarray(np.stack(planes, axis=2).clip(0, 255).astype(np.uint8))


def stored(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("side", [48, 224])
def test_odd_and_even_pictures_enlarged_and_shrunk(size: tuple[int, int], side: int) -> None:
    found, mean = difference(stored(scene(size)), side), bound(size, side)
    assert found.mean() < mean
    assert np.percentile(found, 99) <= (1.01 if mean == MEAN_LEVELS else 5)


@settings(max_examples=60, deadline=None)
@given(wide=st.integers(8, 500), high=st.integers(8, 500), side=st.sampled_from([32, 48, 65]))
def test_any_size_is_cropped_and_resized_as_open_clip_does(wide: int, high: int, side: int) -> None:
    if max(wide, high) < 8 * min(wide, high):  # longer strips lose their ends first
        assert difference(stored(scene((wide, high))), side).mean() < bound((wide, high), side)


@pytest.mark.parametrize("mode", ["P", "1", "L", "LA", "RGBA", "PA"])
@pytest.mark.parametrize("size", [(300, 201), (31, 40)])
def test_pictures_of_every_mode_are_rgb_on_white_before_they_are_resized(mode: str, size: tuple[int, int]) -> None:
    picture = scene(size)
    if mode in ("LA", "RGBA", "PA"):
        picture.putalpha(scene(size).convert("L").transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    converted = picture.quantize(64) if mode in ("P", "PA") else picture.convert(mode)
    assert difference(stored(converted), 48).mean() < bound(size, 48)


def test_a_palette_with_a_transparent_colour_is_on_white() -> None:
    picture = scene((301, 200)).quantize(16)
    file = stored(picture, transparency=3)
    assert Image.open(io.BytesIO(file)).has_transparency_data
    assert difference(file, 48).mean() < MEAN_LEVELS


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_by_its_exif_orientation(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    file = stored(scene((90, 61)), kind, exif=exif, **options)
    assert difference(file, 48).mean() < MEAN_LEVELS
    if orientation > 1:
        unturned = prepare_pixels(Image.open(io.BytesIO(file)).convert("RGB"), PixelRecipe(48))
        assert np.abs(ours(file, 48).astype(float) - unturned).mean() > 10


@pytest.mark.parametrize("quality", [75, 95])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
@pytest.mark.parametrize("size", [(640, 480), (2003, 1501)])
def test_jpegs_small_and_large(quality: int, subsampling: str, size: tuple[int, int]) -> None:
    file = stored(scene(size), "JPEG", quality=quality, subsampling=subsampling)
    assert difference(file, 224).mean() < bound(size, 224)


@pytest.mark.parametrize("kind", ["L", "CMYK"])
def test_jpegs_of_other_colours(kind: str) -> None:
    assert difference(stored(scene((200, 150)).convert(kind), "JPEG"), 48).mean() < MEAN_LEVELS


def test_the_bound_is_one_that_bad_resizing_breaks() -> None:
    picture = scene((640, 480))
    crude = np.asarray(picture.resize((299, 224), Image.Resampling.NEAREST)).astype(float)[:, 37:261]
    assert np.abs(crude - reference(picture, 224)).mean() > 10 * MEAN_LEVELS
    palette = picture.quantize(64)
    late = np.asarray(palette.resize((299, 224), Image.Resampling.BICUBIC).convert("RGB")).astype(float)[:, 37:261]
    assert np.abs(late - reference(palette.convert("RGB"), 224)).mean() > 10 * MEAN_LEVELS
