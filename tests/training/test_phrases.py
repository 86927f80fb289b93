"""The phrase queries of the package, and the figures made of them."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.evaluation import (
    HeldOutFigures,
    PhraseRow,
    RecallRow,
    compute_phrase_row,
    format_figures,
    measure_held_out,
    measure_phrases,
)
from clip_vectorizer.training.phrases import PhraseQuery, load_phrase_queries, parse_phrase_queries
from tests.fakes import HashEncoder

# English and Chinese names of emojibase-data 17.0.0 (MIT, © Miles Johnson).
NAMES_FILE = Path(__file__).parent / "concept_names.tsv"
FUNCTION_WORDS = frozenset(
    ("a", "an", "and", "at", "by", "for", "in", "is", "it", "not", "of", "on", "something", "that", "the", "to", "with")
)
# The one answer whose name the phrase touches: it is too plainly right to be counted as wrong.
GIVEN_AWAY = {("something to drink", "tropical drink")}


def read_names() -> dict[str, str]:
    """English name -> Chinese name of every concept of the held-out set."""
    pairs = [tuple(line.split("\t")) for line in NAMES_FILE.read_text(encoding="utf-8").splitlines()]
    return dict(pairs)


def stem_words(text: str) -> set[str]:
    """English words without their commonest endings."""
    words = set(re.findall(r"\w\w+", text.lower())) - FUNCTION_WORDS
    return {re.sub(r"(ing|er|ed|s)$", "", word) for word in words}


def shares_a_word(query: PhraseQuery, english: str, chinese: str) -> bool:
    """Chinese is written without spaces: two characters in a row count as a word, and so does a whole name."""
    if query.language == "en":
        return bool(stem_words(query.text) & stem_words(english))
    pairs = {query.text[start : start + 2] for start in range(len(query.text) - 1)}
    return chinese in query.text or any(pair in chinese for pair in pairs)


def test_sixty_phrases_two_thirds_of_them_english() -> None:
    queries = load_phrase_queries()
    assert Counter(query.language for query in queries) == {"en": 40, "zh": 20}
    assert len({query.text for query in queries}) == 60


def test_the_phrases_are_of_many_kinds() -> None:
    kinds = {query.kind for query in load_phrase_queries()}
    assert kinds == {
        *("use", "place", "property", "category", "occasion"),
        *("weather", "profession", "feeling", "season"),
    }


def test_every_answer_is_the_name_of_a_concept() -> None:
    names = read_names()
    assert len(names) == 1586
    assert {name for query in load_phrase_queries() for name in query.answers} <= names.keys()


def test_every_phrase_has_five_to_a_hundred_and_fifty_different_answers() -> None:
    for query in load_phrase_queries():
        assert 5 <= len(query.answers) <= 150, query.text
        assert len(set(query.answers)) == len(query.answers), query.text


def test_no_phrase_contains_a_word_of_its_answers() -> None:
    names = read_names()
    shared = {
        (query.text, english)
        for query in load_phrase_queries()
        for english in query.answers
        if shares_a_word(query, english, names[english])
    }
    assert shared == GIVEN_AWAY


@pytest.mark.parametrize(
    ("query", "english", "chinese"),
    [
        (PhraseQuery("en", "use", "a thing to cook with", ()), "cooking", "煎蛋"),
        (PhraseQuery("zh", "use", "喝的牛奶", ()), "glass of milk", "一杯牛奶"),
    ],
)
def test_a_shared_word_is_found(query: PhraseQuery, english: str, chinese: str) -> None:
    assert shares_a_word(query, english, chinese)


def test_a_block_is_a_heading_and_names() -> None:
    queries = parse_phrase_queries("# comment\n\nen | use | to eat\npie; egg\nbread\n\nzh | use | 吃的\npie\n")
    assert queries == [
        PhraseQuery("en", "use", "to eat", ("pie", "egg", "bread")),
        PhraseQuery("zh", "use", "吃的", ("pie",)),
    ]


@pytest.mark.parametrize(
    "block", ["en | use\npie", "en | use | to eat", "en | use | to eat\npie; ; egg", "en | | x\npie"]
)
def test_a_block_that_is_none_is_named(block: str) -> None:
    with pytest.raises(TrainingDataError, match=r"phrase query 'en .*expected `language \| kind \| phrase`"):
        parse_phrase_queries(block)


def test_precision_is_over_five_places_and_recall_over_ten() -> None:
    similarity = -np.arange(20, dtype=np.float32)[None]  # nearest first
    answers = np.zeros((1, 20), dtype=bool)
    answers[0, [0, 3, 7, 12]] = True
    row = compute_phrase_row("en", similarity, answers)
    assert row.precision == pytest.approx(2 / 5)
    assert row.recall == pytest.approx(3 / 4)
    assert np.isnan(row.precision_error)  # of one query


def test_recall_is_full_when_ten_places_hold_ten_of_many_answers() -> None:
    similarity = -np.arange(40, dtype=np.float32)[None]
    answers = np.arange(40)[None] < 30
    row = compute_phrase_row("en", similarity, answers)
    assert (row.precision, row.recall) == (1.0, 1.0)


def test_a_tie_counts_against_the_model() -> None:
    answers = np.arange(20)[None] < 5
    row = compute_phrase_row("en", np.ones((1, 20), dtype=np.float32), answers)
    assert (row.precision, row.recall) == (0.0, 0.0)


def test_chance_is_what_random_orders_give() -> None:
    generator = np.random.default_rng(0)
    answers = np.arange(60) < np.array([[6], [30]])
    similarity = generator.random((4000, 2, 60), dtype=np.float32)
    rows = [compute_phrase_row("en", each, answers) for each in similarity]
    assert np.mean([row.precision for row in rows]) == pytest.approx(rows[0].chance_precision, abs=0.01)
    assert np.mean([row.recall for row in rows]) == pytest.approx(rows[0].chance_recall, abs=0.01)


def test_the_standard_error_is_that_of_the_mean_over_queries() -> None:
    similarity = -np.arange(10, dtype=np.float32)[None].repeat(2, axis=0)
    answers = np.array([[True] * 5 + [False] * 5, [False] * 5 + [True] * 5])
    row = compute_phrase_row("en", similarity, answers)
    assert (row.precision, row.precision_error) == (0.5, pytest.approx(0.5))  # of 1 and 0


def make_concepts(*names: str) -> list[Concept]:
    return [Concept(f"{number:x}", name, name, (), ()) for number, name in enumerate(names)]


def test_a_phrase_is_measured_by_language_and_over_all() -> None:
    concepts, images = make_concepts("pie", "egg", "car"), np.eye(3, 8, dtype=np.float32)
    queries = [PhraseQuery("en", "use", "to eat", ("pie", "egg", "bread")), PhraseQuery("zh", "use", "吃的", ("pie",))]
    rows = measure_phrases(HashEncoder(), concepts, images, queries)
    assert [(row.language, row.queries) for row in rows] == [("en", 1), ("zh", 1), ("all", 2)]
    assert rows[0].precision == pytest.approx(2 / 5)  # three drawings, two of them right


def test_a_phrase_without_an_answer_in_the_set_is_left_out() -> None:
    images = np.eye(2, 8, dtype=np.float32)
    queries = [PhraseQuery("en", "use", "to eat", ("pie",)), PhraseQuery("en", "use", "to ride", ("car",))]
    rows = measure_phrases(HashEncoder(), make_concepts("car", "bus"), images, queries)
    assert [row.queries for row in rows] == [1, 1]
    assert measure_phrases(HashEncoder(), make_concepts("sun", "moon"), images, queries) == []


def test_names_and_phrases_are_measured_on_the_same_drawings() -> None:
    drawings = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 4), dtype=np.uint8)
    figures = measure_held_out(HashEncoder(), make_concepts("socks", "fish", "church"), drawings)
    assert len(figures.recall) == 8
    assert {row.language for row in figures.phrases} == {"en", "all"}


def test_the_tables_print_chance_beside_the_figure() -> None:
    names = RecallRow("text->image", "en", "name", (0.1, 0.5, 1.0))
    phrases = PhraseRow("all", 60, 0.5, 0.03, 0.4, 0.012, 0.013)
    table = format_figures(HeldOutFigures([names], [phrases])).splitlines()
    assert table[-3] == "| phrases | queries | precision@5 | by chance | recall@10, capped | by chance |"
    assert table[-1] == "| all | 60 | 0.500 ± 0.030 | 0.012 | 0.400 | 0.013 |"
    assert "phrases" not in format_figures(HeldOutFigures([names], []))
