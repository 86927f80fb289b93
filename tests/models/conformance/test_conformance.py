"""Every format of models gives the vectors and the token ids of its authors' code, with small random weights."""

import pytest

from tests.models.conformance.__main__ import PAGE
from tests.models.conformance.agreement import Format
from tests.models.conformance.formats import BOUND, FORMATS, LEVELS_BOUND, SPREAD_BOUND, measure_format
from tests.models.conformance.table import list_rows


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: each.name)
def test_vectors_and_token_ids_are_the_references(each: Format) -> None:
    found = measure_format(each)
    assert found.spread > SPREAD_BOUND
    assert found.ids_equal
    assert max(found.texts, found.images) <= BOUND
    assert found.levels <= LEVELS_BOUND


def test_the_page_lists_the_formats_that_are_compared() -> None:
    rows = [(each.name, each.reference) for each in FORMATS]
    assert list_rows(PAGE.read_text("utf-8")) == rows, "run python -m tests.models.conformance"
