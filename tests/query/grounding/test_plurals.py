"""Singulars of English phrases."""

import pytest

from clip_vectorizer.query.grounding.plurals import find_singular

WORDS = {
    "pandas": "panda", "boxes": "box", "cherries": "cherry", "potatoes": "potato", "shoes": "shoe", "horses": "horse",
    "churches": "church", "dresses": "dress", "glass": "glass", "bus": "bus", "octopus": "octopus", "Boys": "Boy",
    "people": "person", "knives": "knife", "gas": "gas", "tennis": "tennis", "houses": "house", "roses": "rose",
    "scissors": "scissors", "heroes": "hero", "cookies": "cookie", "lotuses": "lotus", "buses": "bus",
    "viruses": "virus", "octopuses": "octopus", "walruses": "walrus", "cactuses": "cactus", "greenhouses": "greenhouse",
    "blouses": "blouse", "fuses": "fuse", "causes": "cause", "vases": "vase", "suitcases": "suitcase", "noses": "nose",
    "purses": "purse", "cheeses": "cheese", "lenses": "lens", "irises": "iris", "canvases": "canvas", "axes": "axe",
    "prizes": "prize", "mazes": "maze", "quizzes": "quiz", "waltzes": "waltz", "volcanoes": "volcano",
    "tornadoes": "tornado", "dominoes": "domino", "horseshoes": "horseshoe", "canoes": "canoe", "puppies": "puppy",
    "magpies": "magpie", "moustaches": "moustache", "witches": "witch", "halves": "half", "olives": "olive",
    "sunglasses": "sunglasses", "rhinoceros": "rhinoceros", "kids": "kid", "snakes": "snake",
    "trees": "tree", "lotus": "lotus",
}  # fmt: skip


@pytest.mark.parametrize(("plural", "singular"), WORDS.items())
def test_a_noun_gets_its_singular(plural: str, singular: str) -> None:
    assert find_singular(plural) == singular
    assert find_singular(f"two big {plural}") == f"two big {singular}"


def test_the_noun_is_the_one_before_of() -> None:
    assert find_singular("bunches of grapes") == "bunch of grapes"
    assert find_singular("dogs' tails") == "dogs' tail"


def test_glasses_are_worn_or_filled() -> None:
    for worn in ("glasses", "big red glasses", "reading glasses"):
        assert find_singular(worn) == worn
    assert find_singular("two wine glasses") == "two wine glass"
    assert find_singular("glasses of milk") == "glass of milk"


def test_a_chinese_phrase_stays_as_it_is() -> None:
    assert find_singular("穿glasses的人s") == "穿glasses的人s"
