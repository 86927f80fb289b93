"""Our pixels beside those of Debian's Chromium: what a person's viewer shows is what is embedded."""

from collections.abc import Mapping

import numpy as np
import pytest

from benchmarks.chromium import find_chromium
from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image
from tests.images.browser import all_browser_pixels
from tests.images.case import CorpusCase, Rgb, mean_difference
from tests.images.corpus import all_cases

MOST_LEVELS = 2.0  # mean grey levels between the browser's pixels and ours
Pixels = Mapping[str, Rgb | None]


def cases_of(*browsers: str) -> list[CorpusCase]:
    return [case for case in all_cases() if case.browser in browsers]


@pytest.fixture(scope="module")
def browser() -> Pixels:
    """Chromium's pixels by file name. Raises RuntimeError without Chromium: a test that cannot run fails."""
    return all_browser_pixels({case.name: case.data for case in all_cases() if case.browser != "left out"})


@pytest.mark.parametrize("case", cases_of("same"), ids=lambda case: case.name)
def test_the_browser_shows_the_truth(case: CorpusCase, browser: Pixels) -> None:
    shown = browser[case.name]
    assert shown is not None
    assert case.truth is not None
    assert mean_difference(shown, case.truth, case.rows) <= case.levels


@pytest.mark.parametrize(
    "case", [case for case in cases_of("same") if case.kind != "refused"], ids=lambda case: case.name
)
def test_our_pixels_are_the_browsers(case: CorpusCase, browser: Pixels) -> None:
    shown = browser[case.name]
    assert shown is not None
    try:
        ours = np.asarray(decode_image(case.data).pixels)
    except ImageRefused as refused:
        assert case.kind == "either", refused.reason
    else:
        assert mean_difference(ours, shown, case.rows) <= MOST_LEVELS


@pytest.mark.parametrize("case", cases_of("nothing"), ids=lambda case: case.name)
def test_the_browser_opens_nothing_of_these(case: CorpusCase, browser: Pixels) -> None:
    assert browser[case.name] is None


@pytest.mark.parametrize("case", cases_of("other"), ids=lambda case: case.name)
def test_where_the_browser_differs_it_still_does(case: CorpusCase, browser: Pixels) -> None:
    """When a new Chromium shows the truth, the case becomes one of `same`."""
    shown = browser[case.name]
    assert shown is not None
    assert case.truth is None or mean_difference(shown, case.truth, case.rows) > MOST_LEVELS, case.why


def test_few_cases_differ_from_the_browser() -> None:
    assert len(cases_of("same")) > 10 * len(cases_of("left out"))
    assert len(cases_of("same")) > 5 * len(cases_of("other"))


def test_a_missing_browser_is_named() -> None:
    with pytest.raises(RuntimeError, match="apt-get install chromium"):
        find_chromium(path="")
