import pytest

from clip_vectorizer.training.drawings import load_concepts
from clip_vectorizer.training.knowledge import GLOSS, GROUP, KEYWORD, KIND, NAME, TAG, ConceptText, load_knowledge
from tests.training.art import write_packages
from tests.training.word_vectors import compute_word_vectors


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> list[list[ConceptText]]:
    packages = write_packages(tmp_path_factory.mktemp("packages"))
    concepts = load_concepts(packages)
    return load_knowledge(packages, concepts, lambda texts: compute_word_vectors(texts).astype("float32"))


def pick(texts: list[ConceptText], kind: str, language: str = "en") -> list[str]:
    return [item.text for item in texts if (item.kind, item.language) == (kind, language)]


def test_every_source_is_read_in_both_languages(knowledge: list[list[ConceptText]]) -> None:
    red_circle = knowledge[0]
    assert pick(red_circle, NAME) == ["red circle"]
    assert pick(red_circle, NAME, "zh") == ["红色圆"]
    assert pick(red_circle, TAG) == ["red", "circle", "round"]
    assert pick(red_circle, TAG, "zh") == ["红色"]
    assert pick(red_circle, KEYWORD) == ["figure", "geometric shape", "something to drink"]
    assert pick(red_circle, KEYWORD, "zh") == ["图形"]
    assert pick(red_circle, GROUP) == ["round things", "objects"]
    assert pick(red_circle, GROUP, "zh") == ["圆的东西", "物品"]


def test_of_two_meanings_the_one_that_fits_the_tags_is_described(knowledge: list[list[ConceptText]]) -> None:
    glosses = pick(knowledge[0], GLOSS)
    assert glosses[0] == "a curve around one centre"
    assert "an unofficial association of people" not in glosses


def test_kinds_are_named_and_defined_up_to_the_vague_ones(knowledge: list[list[ConceptText]]) -> None:
    assert pick(knowledge[0], KIND) == ["round shape", "roundness", "shape", "form"]
    assert pick(knowledge[0], GLOSS)[1:] == ["a shape without corners", "any spatial attribute"]


def test_a_name_without_a_meaning_has_no_definition(knowledge: list[list[ConceptText]]) -> None:
    red_triangle = knowledge[2]
    assert pick(red_triangle, NAME) == ["red triangle"]
    assert pick(red_triangle, GLOSS) == pick(red_triangle, KIND) == []


def test_no_text_is_repeated(knowledge: list[list[ConceptText]]) -> None:
    assert all(len(set(texts)) == len(texts) for texts in knowledge)
