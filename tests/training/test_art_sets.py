"""What is learned from, what is never, and that the model card names each package with its licence."""

import pytest

from clip_vectorizer.training.art_sets import COMPLETE_SETS, HELD_OUT_SET, PACKAGES, TRAINING_SETS
from clip_vectorizer.training.training_extras import EXTRAS
from tests.documents import page

NEVER_LEARNED = ("openmoji", "noto-v1", "fxemoji")  # art to measure on, now or later
CARD = page("clip_vectorizer/models/emoji/README.md").table("package")  # package and version, licence, author, part


@pytest.mark.parametrize("name", NEVER_LEARNED)
def test_art_to_measure_on_is_never_learned_from(name: str) -> None:
    assert name not in (*TRAINING_SETS, *COMPLETE_SETS)
    assert name == HELD_OUT_SET or name not in PACKAGES


def test_every_art_set_is_a_package() -> None:
    assert {*TRAINING_SETS, HELD_OUT_SET} <= PACKAGES.keys()


def test_the_card_lists_every_package_in_its_version_and_no_other() -> None:
    listed = {row[0].replace("` ", "@").strip("`") for row in CARD}
    by_pip = {line for line in listed if line.partition("@")[0] in EXTRAS}
    assert listed - by_pip == set(PACKAGES.values())


@pytest.mark.parametrize("row", CARD, ids=lambda row: row[0])
def test_the_card_has_a_licence_and_an_author_of_each_package(row: list[str]) -> None:
    _, licence, author, part = row
    assert any(known in licence for known in ("Apache-2.0", "MIT", "CC-BY-", "Unicode-3.0", "WordNet"))
    assert len(author) > 3 and part


def test_share_alike_art_is_held_out() -> None:
    [row] = [row for row in CARD if "-SA-" in row[1]]
    assert HELD_OUT_SET in row[0] and "held out" in row[3]
