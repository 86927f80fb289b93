import random
from collections import Counter

import pytest

from clip_vectorizer.training.concept_texts import ConceptTexts, OwnedText
from clip_vectorizer.training.knowledge import GLOSS, NAME, TAG, ConceptText
from clip_vectorizer.training.phrases import load_phrase_queries


def describe(name: str, chinese: str, *tags: str) -> list[ConceptText]:
    english = [ConceptText(name, "en", NAME), *(ConceptText(tag, "en", TAG) for tag in tags)]
    return [*english, ConceptText(chinese, "zh", NAME), *([ConceptText("水果", "zh", TAG)] if tags else [])]


KNOWLEDGE = [
    [*describe("red apple", "红苹果", "fruit", "red", "Orchard"), ConceptText("a fruit with seeds", "en", GLOSS)],
    describe("lemon", "柠檬", "fruit", "orchard", "something to drink"),
    describe("wheel", "轮子"),
]


def draw_many(concept: int, count: int = 1500, without: tuple[str, ...] = ()) -> list[OwnedText]:
    texts, rng = ConceptTexts(KNOWLEDGE, without), random.Random(1)
    return [texts.draw(concept, rng) for _ in range(count)]


def test_a_text_fits_the_concept_that_it_is_drawn_for() -> None:
    assert all(0 in drawn.owners for drawn in draw_many(0))


def test_a_word_fits_all_concepts_that_have_it_in_any_case() -> None:
    owners = {drawn.text: set(drawn.owners) for drawn in draw_many(0)}
    assert owners["fruit"] == owners["Orchard"] == owners["a kind of fruit"] == owners["水果"] == {0, 1}
    assert owners["red apple"] == owners["a drawing of red apple"] == owners["a fruit with seeds"] == {0}


def test_a_pair_fits_the_concepts_that_have_both_words() -> None:
    owners = {drawn.text: set(drawn.owners) for drawn in draw_many(0)}
    assert owners["fruit and Orchard"] == {0, 1}
    assert owners["fruit and red"] == {0}


def test_a_list_fits_its_concept_only() -> None:
    lists = [drawn for drawn in draw_many(0) if drawn.text.count(", ") > 1]
    assert lists
    assert all(drawn.owners == (0,) and "red apple" in drawn.text for drawn in lists)


def test_both_languages_are_drawn_and_names_often() -> None:
    drawn = [item.text for item in draw_many(0)]
    chinese = [text for text in drawn if not text.isascii()]
    assert 0.45 < len(chinese) / len(drawn) < 0.55
    counts = Counter(drawn)
    assert 0.06 < counts["red apple"] / len(drawn) < 0.12  # .18 of the English half


def test_a_concept_without_words_is_drawn_by_its_names() -> None:
    assert {item.text for item in draw_many(2, 200)} == {"wheel", "轮子"}


@pytest.mark.parametrize("phrase", ["something to drink", "Something to DRINK"])
def test_a_text_to_leave_out_is_never_drawn(phrase: str) -> None:
    assert "something to drink" in {item.text for item in draw_many(1)}
    assert not any(item.text.lower() == "something to drink" for item in draw_many(1, without=(phrase,)))


def test_no_pattern_makes_a_phrase_of_the_evaluation() -> None:
    queries = {query.text.lower() for query in load_phrase_queries()}
    knowledge = [
        *(ConceptText(text, "en", kind) for text, kind in (("cup", NAME), ("drink", TAG), ("eat with", TAG))),
        *(ConceptText(text, "zh", kind) for text, kind in (("杯子", NAME), ("喝", TAG), ("水果", TAG))),
    ]
    texts, rng = ConceptTexts([knowledge], queries), random.Random(2)
    drawn = {texts.draw(0, rng).text.lower() for _ in range(3000)}
    assert "something to do with drink" in drawn
    assert not drawn & queries
