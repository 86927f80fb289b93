"""Every file of the corpus through the decoder: taken with the right pixels, or refused by its name."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import DecodedImage, decode_image
from ingest.choices import Fit, Keep
from ingest.items import UnusableFile
from ingest.preview import preview_image
from tests.images.case import CorpusCase, Rgb, mean_difference
from tests.images.corpus import all_cases, cases_by_section

SCALED_LEVELS = 2.0  # what another way of shrinking may add
MOST_BYTES = 600_000  # of a file


def cases_of(*kinds: str) -> list[CorpusCase]:
    return [case for case in all_cases() if case.kind in kinds]


def pixels_of(decoded: DecodedImage) -> Rgb:
    assert decoded.pixels.mode == "RGB"
    return np.asarray(decoded.pixels)


@pytest.mark.parametrize("case", cases_of("opened"), ids=lambda case: case.name)
def test_an_image_is_opened_with_the_right_pixels(case: CorpusCase) -> None:
    decoded = decode_image(case.data)
    assert case.truth is not None
    assert mean_difference(pixels_of(decoded), case.truth) <= case.levels
    assert decoded.damage == ""


@pytest.mark.parametrize("case", cases_of("opened"), ids=lambda case: case.name)
def test_a_scaled_decode_shows_the_same_picture(case: CorpusCase) -> None:
    """Lossless JPEG cannot be decoded scaled; it is shrunk afterwards, or not at all."""
    assert case.truth is not None
    height, width = case.truth.shape[:2]
    pixels = decode_image(case.data, least_side=min(height, width) // 3).pixels
    assert pixels.width in (width, (width + 1) // 2)
    small = np.asarray(Image.fromarray(case.truth).resize(pixels.size, Image.Resampling.BOX))
    assert mean_difference(np.asarray(pixels), small) <= case.levels + SCALED_LEVELS


@pytest.mark.parametrize("case", cases_of("shown"), ids=lambda case: case.name)
def test_a_small_fault_costs_no_pixel(case: CorpusCase) -> None:
    assert case.truth is not None
    assert mean_difference(pixels_of(decode_image(case.data)), case.truth) <= case.levels


@pytest.mark.parametrize("case", cases_of("damaged"), ids=lambda case: case.name)
def test_a_damaged_image_is_taken_with_a_word_about_it(case: CorpusCase) -> None:
    decoded = decode_image(case.data)
    assert case.truth is not None
    assert mean_difference(pixels_of(decoded), case.truth, case.rows) <= case.levels
    assert decoded.damage


@pytest.mark.parametrize("case", cases_of("refused"), ids=lambda case: case.name)
def test_a_refusal_names_the_reason(case: CorpusCase) -> None:
    with pytest.raises(ImageRefused) as refused:
        decode_image(case.data)
    assert case.says.lower() in refused.value.reason.lower()


@pytest.mark.parametrize("case", cases_of("either"), ids=lambda case: case.name)
def test_a_rare_layout_is_right_or_refused_by_its_name(case: CorpusCase) -> None:
    """Never the wrong pixels."""
    assert case.truth is not None
    try:
        decoded = decode_image(case.data)
    except ImageRefused as refused:
        assert case.says.lower() in refused.reason.lower()
    else:
        assert mean_difference(pixels_of(decoded), case.truth, case.rows) <= case.levels


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)
def test_the_ingest_takes_and_refuses_the_same_files(case: CorpusCase) -> None:
    """With the same word about damage, and the same reason for a refusal."""
    try:
        preview = preview_image(case.data, Fit.CROP, Keep.THUMBNAIL, with_phash=True)
    except UnusableFile as unusable:
        with pytest.raises(ImageRefused) as refused:
            decode_image(case.data)
        assert str(unusable) == refused.value.reason
    else:
        assert preview.damage == decode_image(case.data).damage
        assert preview.thumbnail


def test_the_corpus_is_large_and_its_files_are_small() -> None:
    cases = all_cases()
    repeated = [name for name, count in Counter(case.name for case in cases).items() if count > 1]
    assert len(cases) > 300
    assert not repeated
    large = [case.name for case in cases if len(case.data) > MOST_BYTES and case.browser != "left out"]
    assert not large


def test_a_case_says_what_is_right() -> None:
    for case in all_cases():
        assert case.what
        assert (case.truth is None) <= (case.kind == "refused")
        assert bool(case.why) == (case.browser in ("other", "left out"))


def test_no_two_sections_have_the_same_case() -> None:
    described = [case.what for cases in cases_by_section().values() for case in cases]
    assert [what for what, count in Counter(described).items() if count > 1] == []


def test_the_comparison_sees_a_turned_and_a_tinted_picture() -> None:
    picture = next(case.truth for case in all_cases() if case.truth is not None)
    turned = np.ascontiguousarray(picture[::-1])
    assert mean_difference(picture, picture) == 0
    assert mean_difference(turned, picture) > 10
    assert mean_difference(np.asarray(Image.fromarray(picture).convert("L").convert("RGB")), picture) > 10
