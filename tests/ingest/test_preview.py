"""What is embedded in place of a file: the input of the model, to the bit what a sidecar makes of the file."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.photographs import make_photograph
from clip_vectorizer.images.model_input import PixelRecipe, decode_input, finish_input, prepare_input
from clip_vectorizer.images.opener import decode_image
from clip_vectorizer.images.pixel_check import digest_recipe
from clip_vectorizer.images.settings import USUAL_DECODING
from clip_vectorizer.vectors import Pixels
from ingest.choices import Fit, Keep
from ingest.prepare import PrepareSettings, add_input
from ingest.preview import InputFormat, preview_image
from tests.ingest.fakes import MODEL, FakeStore, encoded

RECIPE = PixelRecipe(48)
PHOTOGRAPH = make_photograph(0, (640, 480))


def make_input(file: bytes, recipe: PixelRecipe = RECIPE) -> Pixels:
    """As a sidecar does."""
    decoded = decode_input(file, recipe.size, USUAL_DECODING)
    return finish_input(decoded, lambda image, box: prepare_input(image, recipe, box))


def turned(file: bytes) -> bytes:
    image = Image.open(io.BytesIO(file))
    exif = image.getexif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif)


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    "file",
    [
        PHOTOGRAPH,
        turned(make_photograph(1, (333, 500))),
        make_photograph(2, (2001, 1003)),
        encoded(Image.open(io.BytesIO(make_photograph(3, (200, 150)))), "PNG"),
        encoded(Image.open(io.BytesIO(make_photograph(4, (200, 150)))).convert("P"), "GIF"),
    ],
    ids=["photograph", "turned", "large", "png", "gif"],
)
def test_the_input_that_is_sent_becomes_the_input_of_the_file(file: bytes, compact: bool) -> None:
    seen = preview_image(file, Fit.CROP, Keep.THUMBNAIL, False, model_input=InputFormat(RECIPE, compact))
    assert seen.is_input and len(seen.image) < len(file)
    np.testing.assert_array_equal(make_input(seen.image), make_input(file))


@pytest.mark.parametrize("size", [(640, 480), (1024, 768), (480, 640), (4000, 3000), (150, 100)])
@pytest.mark.parametrize("side", [16, 64, 224])
def test_a_thumbnail_looks_the_same_whatever_the_model_is(size: tuple[int, int], side: int) -> None:
    file = make_photograph(5, size)
    usual = preview_image(file, Fit.CROP, Keep.THUMBNAIL, True)
    seen = preview_image(file, Fit.CROP, Keep.THUMBNAIL, True, model_input=InputFormat(PixelRecipe(side), False))
    assert usual.thumbnail and seen.thumbnail
    one, other = (decode_image(each.thumbnail).pixels for each in (usual, seen))
    assert one.size == other.size
    assert np.abs(np.asarray(one).astype(int) - np.asarray(other)).mean() < 5  # levels; from a decode of another scale
    assert (int(usual.phash, 16) ^ int(seen.phash, 16)).bit_count() <= 2
    assert (seen.mime, seen.damage) == ("image/jpeg", "")


def test_a_damaged_file_is_sent_as_a_whole_plain_picture() -> None:
    cut = PHOTOGRAPH[: len(PHOTOGRAPH) * 97 // 100]
    usual = preview_image(cut, Fit.CROP, Keep.THUMBNAIL, False)
    seen = preview_image(cut, Fit.CROP, Keep.THUMBNAIL, False, model_input=InputFormat(RECIPE, False))
    assert usual.damage and seen == usual


def test_a_page_on_a_square_is_sent_as_before() -> None:
    usual = preview_image(PHOTOGRAPH, Fit.PAD, Keep.THUMBNAIL, False)
    assert preview_image(PHOTOGRAPH, Fit.PAD, Keep.THUMBNAIL, False, model_input=InputFormat(RECIPE, False)) == usual


def test_a_file_much_smaller_than_the_input_is_sent_as_it_is() -> None:
    tiny = encoded(Image.new("RGB", (300, 200), "red"), "JPEG")
    seen = preview_image(tiny, Fit.CROP, Keep.THUMBNAIL, False, model_input=InputFormat(RECIPE, False))
    assert seen.image == tiny and not seen.is_input


def store(keep: Keep = Keep.THUMBNAIL, check: str | None = None, preprocessing: str = RECIPE.version) -> FakeStore:
    own = digest_recipe(RECIPE, USUAL_DECODING)
    return FakeStore(
        keep, model=replace(MODEL, preprocessing=preprocessing), pixel_check=own if check is None else check
    )


def test_the_input_is_sent_where_the_sidecar_would_make_the_same_one() -> None:
    made = add_input(PrepareSettings(), store(), by_module=True).input
    assert made == InputFormat(RECIPE, compact=True)


@pytest.mark.parametrize(
    "other",
    [store(check=""), store(check="0123456789abcdef"), store(preprocessing="longest-48-bicubic-v3"), store(Keep.FULL)],
    ids=["earlier sidecar", "other pixels", "unknown recipe", "the file is stored"],
)
def test_files_are_sent_where_the_inputs_may_differ_or_the_file_is_stored(other: FakeStore) -> None:
    assert add_input(PrepareSettings(), other, by_module=False).input is None
