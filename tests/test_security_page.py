"""docs/security.md: each claim in its tables names tests, and these are there."""

import re

import pytest

from tests.documents import CELL_BORDER, REPOSITORY, page

SECURITY = page("docs/security.md")
FILE_OR_TEST = re.compile(r"`(tests/[\w/]+\.py|test_\w+)`")
DEFINITION = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)
ROWS = [
    [cell.strip() for cell in CELL_BORDER.split(line)[1:-1]]
    for line in SECURITY.text.splitlines()
    if line.startswith("| ") and not line.startswith(("| ---", "| what |"))
]


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 40 and {len(row) for row in ROWS} == {2, 3}


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:60] for row in ROWS])
def test_the_tests_that_a_row_names_exist(row: list[str]) -> None:
    proofs = FILE_OR_TEST.findall(row[-1])
    assert proofs and proofs[0].startswith("tests/")
    defined: set[str] = set()
    for proof in proofs:
        if proof.startswith("tests/"):
            defined = set(DEFINITION.findall((REPOSITORY / proof).read_text(encoding="utf-8")))
        else:
            assert proof in defined, proof
    assert any(proof.startswith("test_") for proof in proofs)
