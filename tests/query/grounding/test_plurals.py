"""Singulars of English phrases."""

import pytest

from clip_vectorizer.query.grounding.plurals import find_singular

WORDS = {
    "pandas": "panda", "boxes": "box", "cherries": "cherry", "potatoes": "potato", "shoes": "shoe", "horses": "horse",
    "churches": "church", "dresses": "dress", "glass": "glass", "bus": "bus", "octopus": "octopus", "Boys": "Boy",
    "people": "person", "knives": "knife", "gas": "gas", "tennis": "tennis", "houses": "house", "roses": "rose",
    "scissors": "scissors", "heroes": "hero", "cookies": "cookie",
}  # fmt: skip


@pytest.mark.parametrize(("plural", "singular"), WORDS.items())
def test_a_noun_gets_its_singular(plural: str, singular: str) -> None:
    assert find_singular(plural) == singular
    assert find_singular(f"two big {plural}") == f"two big {singular}"


def test_the_noun_is_the_one_before_of() -> None:
    assert find_singular("bunches of grapes") == "bunch of grapes"
    assert find_singular("dogs' tails") == "dogs' tail"


def test_a_chinese_phrase_stays_as_it_is() -> None:
    assert find_singular("穿glasses的人s") == "穿glasses的人s"
