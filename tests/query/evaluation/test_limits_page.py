"""The tables of docs/limits.md have the rows that the code measures today, and agree with themselves.

Their figures are compared with the bundled model's by tests/stack/test_limits.py.
"""

import re
from functools import cache

import pytest

from benchmarks.limits import MADE_BY, begin_of, list_blocks, replace_blocks
from clip_vectorizer.query.evaluation.limits import LimitFindings
from clip_vectorizer.query.evaluation.limits_choices import ABOVE, AT_CHANCE, BELOW
from tests.documents import page
from tests.query.evaluation.squares import ConstantEncoder, measure_folder
from tests.stack.support import EXAMPLES

PAGE = page("docs/limits.md")
SHARE_TABLES = ("counting", "places", "look-alikes", "wording", "digits")
OF_THE_MODEL = ("right", "verdict", "mean answer", "difference", "value", "low", "high", "p", "name changes")
OF_THE_MODEL += ("best less worst", "by chance")


@cache
def measured() -> LimitFindings:
    return measure_folder(EXAMPLES, ConstantEncoder())


@cache
def today() -> dict[str, str]:
    """Blocks by name; their intervals take seconds to compute."""
    return dict(list_blocks(measured()))


def block(name: str) -> str:
    _, found, rest = PAGE.text.partition(begin_of(name))
    assert found, f"the page has no block {name!r}"
    return rest.partition("<!-- end -->")[0].strip()


def read_table(text: str) -> list[dict[str, str]]:
    head, _, *rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in text.splitlines()]
    return [dict(zip(head, row, strict=False)) for row in rows]


def test_the_page_has_a_block_for_every_table_and_for_how_they_were_made() -> None:
    assert re.findall(r"<!-- ([\w-]+): python", PAGE.text) == list(today())
    assert re.search(r"Model `emoji`, revision `\w+`, inputs of \d+ pixels;\n.* cores", block(MADE_BY))
    assert "`python benchmarks/limits.py --write`" in block(MADE_BY)


@pytest.mark.parametrize("name", [*SHARE_TABLES, "wording-spread", "differences"])
def test_the_rows_of_a_table_are_those_of_the_code(name: str) -> None:
    computed = read_table(today()[name])
    written = read_table(block(name))
    assert [list(row) for row in written] == [list(row) for row in computed]
    for old, new in zip(written, computed, strict=True):
        assert {key: old[key] for key in old if key not in OF_THE_MODEL} == {
            key: new[key] for key in new if key not in OF_THE_MODEL
        }


@pytest.mark.parametrize("name", SHARE_TABLES)
def test_the_verdicts_of_a_table_follow_from_its_intervals(name: str) -> None:
    for row in read_table(block(name)):
        right, low, high = map(float, re.findall(r"\d\.\d+", row["right"]))
        chance = float(row["chance"])
        assert low <= right <= high
        assert row["verdict"] in (ABOVE, AT_CHANCE, BELOW)
        assert row["verdict"] != ABOVE or low >= chance
        assert row["verdict"] != BELOW or high <= chance
        assert row["verdict"] != AT_CHANCE or low <= chance <= high


def test_new_blocks_replace_old_ones_and_nothing_else() -> None:
    once = replace_blocks(PAGE.text, today().items())
    assert replace_blocks(once, today().items()) == once
    assert [line for line in once.splitlines() if line.startswith("#")] == [
        line for line in PAGE.text.splitlines() if line.startswith("#")
    ]
    with pytest.raises(ValueError, match="lacks"):
        replace_blocks("no blocks", today().items())
