"""Pixels against Pillow's and open_clip's own, in grey levels."""

import numpy as np
import open_clip
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image, ImageDraw, ImageFilter

from clip_vectorizer.images.model_input import parse_version, prepare_input
from clip_vectorizer.images.pixel_check import digest_pixels, digest_recipe
from clip_vectorizer.images.settings import USUAL_DECODING
from clip_vectorizer.models.preprocess import (
    PixelRecipe,
    parse_pixel_recipe,
    prepare_pixels,
)

SIZES = [(640, 480), (480, 640), (500, 375), (48, 48), (30, 90), (1280, 333), (224, 225)]
MODES = ["shortest", "longest", "squash"]
MEAN_LEVELS = 0.2  # of 255; without antialiasing it is 11 to 21


def drawing(size: tuple[int, int]) -> Image.Image:
    """Noise, edges and lines: what aliases when it is done wrong."""
    image = Image.effect_noise(size, 60).convert("RGB")
    draw = ImageDraw.Draw(image)
    for step in range(0, max(size), 7):
        draw.line((step, 0, size[0] - step, size[1]), fill=(step % 256, 90, 255 - step % 256))
    draw.ellipse((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill="red")
    return image


def by_open_clip(image: Image.Image, recipe: PixelRecipe) -> np.ndarray:
    """(S, S, 3) grey levels as open_clip's own transform gives them."""
    config = PreprocessCfg(
        size=recipe.size, mean=(0, 0, 0), std=(1, 1, 1), resize_mode=recipe.resize, interpolation=recipe.interpolation
    )
    return image_transform_v2(config, is_train=False)(image).permute(1, 2, 0).numpy() * 255


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resize", MODES)
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_pixels_are_open_clips_within_a_grey_level(size: tuple[int, int], resize: str, interpolation: str) -> None:
    recipe, image = PixelRecipe(48, resize=resize, interpolation=interpolation), drawing(size)
    difference = np.abs(prepare_pixels(image, recipe).astype(float) - by_open_clip(image, recipe))
    assert difference.mean() < MEAN_LEVELS
    assert np.percentile(difference, 99) <= 1.01  # bicubic overshoots at hard edges, by up to 7 levels


def test_a_picture_of_the_right_size_stays_as_it_is() -> None:
    image = drawing((48, 48))
    np.testing.assert_array_equal(prepare_pixels(image, PixelRecipe(48)), np.asarray(image))


@settings(max_examples=60, deadline=None)
@given(wide=st.integers(1, 400), high=st.integers(1, 400), resize=st.sampled_from(MODES))
def test_any_picture_becomes_a_square_of_bytes(wide: int, high: int, resize: str) -> None:
    pixels = prepare_pixels(Image.new("RGB", (wide, high), (10, 200, 30)), PixelRecipe(32, resize=resize))
    assert (pixels.shape, pixels.dtype) == ((32, 32, 3), np.uint8)
    assert (pixels == (10, 200, 30)).all(axis=2).any()


@pytest.mark.parametrize("size", [(1, 200_000), (200_000, 1)])
def test_a_long_strip_takes_no_gigabytes(size: tuple[int, int]) -> None:
    assert prepare_pixels(Image.new("RGB", size, "red"), PixelRecipe(224)).shape == (224, 224, 3)


def test_what_a_configuration_leaves_out_is_as_in_openais_clip() -> None:
    assert parse_pixel_recipe(224, {}) == PixelRecipe(224, open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    squash = {"mean": 0.5, "std": [0.5, 0.5, 0.5], "interpolation": "bilinear", "resize_mode": "squash"}
    assert parse_pixel_recipe(48, squash).version == "squash-48-bilinear-v3"
    assert parse_pixel_recipe(48, squash).mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("resize", MODES)
@pytest.mark.parametrize("corner", [(0.0, 0.0), (0.5, 0.25)])
def test_a_box_is_cut_out_as_pillow_does(resize: str, corner: tuple[float, float]) -> None:
    image, box = drawing((188, 188)), (*corner, 187.5, 187.75)
    pixels = prepare_pixels(image, PixelRecipe(48, resize=resize), box).astype(int)
    theirs = np.asarray(image.resize((48, 48), Image.Resampling.BICUBIC, box)).astype(int)
    assert np.abs(pixels - theirs).mean() < MEAN_LEVELS


def test_a_box_keeps_the_proportions_of_what_it_shows() -> None:
    whole = drawing((500, 375)).filter(ImageFilter.GaussianBlur(6))  # then only the place of things differs, if at all
    recipe = PixelRecipe(48)
    exact, boxed = (
        prepare_pixels(whole, recipe).astype(int),
        prepare_pixels(whole.reduce(2), recipe, (0, 0, 250, 187.5)),
    )
    assert np.abs(exact - boxed).mean() < 1


@pytest.mark.parametrize("resize", MODES)
def test_the_square_lies_in_memory_as_a_batch_needs_it(resize: str) -> None:
    assert prepare_pixels(drawing((640, 480)), PixelRecipe(48, resize=resize)).flags.c_contiguous


@settings(max_examples=80, deadline=None)
@given(
    wide=st.integers(1, 400),
    high=st.integers(1, 400),
    size=st.integers(1, 64),
    resize=st.sampled_from([*MODES, "corner"]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
    edge=st.sampled_from([0, 0.125, 0.5]),
)
def test_without_torch_the_input_has_the_same_bytes(
    wide: int, high: int, size: int, resize: str, interpolation: str, edge: float
) -> None:
    image, box = drawing((wide, high)), (0.0, 0.0, wide - edge, high - edge)
    recipe = PixelRecipe(size, resize=resize, interpolation=interpolation)
    np.testing.assert_array_equal(prepare_input(image, recipe, box), prepare_pixels(image, recipe, box))


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 0, 127)])
def test_without_torch_the_ends_of_the_range_stay_where_they_are(colour: tuple[int, int, int]) -> None:
    for size in [(300, 200), (2000, 1501)]:
        pixels = prepare_input(Image.new("RGB", size, colour), PixelRecipe(64))
        assert (pixels == colour).all()


@pytest.mark.parametrize("version", ["shortest-64-bicubic-v3", "squash-32-bilinear-v3", "shortest-48-bicubic-floor-v3"])
def test_a_recipe_is_read_from_its_version_and_checked_by_its_pixels(version: str) -> None:
    recipe = parse_version(version)
    assert recipe and recipe.version == version and parse_version(f"{version}-raw") == recipe
    by_torch = digest_pixels(recipe.size, USUAL_DECODING, lambda image, box: prepare_pixels(image, recipe, box))
    assert digest_recipe(recipe, USUAL_DECODING) == by_torch
    other = PixelRecipe(recipe.size, resize=recipe.resize, interpolation="bilinear", crop=recipe.crop)
    assert (digest_recipe(other, USUAL_DECODING) == by_torch) == (recipe.interpolation == "bilinear")


@pytest.mark.parametrize(
    "version", ["longest-64-bicubic-v3", "shortest-64-bicubic-v2", "none", "shortest-0-bicubic-v3"]
)
def test_a_version_that_does_not_contain_all_of_it_has_no_recipe(version: str) -> None:
    assert parse_version(version) is None
