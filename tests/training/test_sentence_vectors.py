from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.training import sentence_vectors
from clip_vectorizer.training.sentence_vectors import HalfVectors, SentenceVectors
from tests.training.word_vectors import compute_word_vectors


class CountingModel:
    """Computes each text at most once; fails when `most` calls are done."""

    def __init__(self, most: int = 100) -> None:
        self.texts: list[str] = []
        self._left = most

    def __call__(self, texts: Sequence[str]) -> HalfVectors:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        self.texts += texts
        return compute_word_vectors(texts)


def test_rows_are_those_of_the_texts_in_their_order(tmp_path: Path) -> None:
    rows = SentenceVectors(tmp_path / "e5.npz", compute_word_vectors).embed(["red", "blue", "red"])
    np.testing.assert_array_equal(rows, compute_word_vectors(["red", "blue", "red"]).astype(np.float32))
    assert rows.dtype == np.float32


def test_a_text_is_computed_once_and_kept_in_the_file(tmp_path: Path) -> None:
    first, second = CountingModel(), CountingModel()
    before = SentenceVectors(tmp_path / "e5.npz", first).embed(["red", "blue", "red"])
    after = SentenceVectors(tmp_path / "e5.npz", second).embed(["blue", "green", "red"])
    assert (first.texts, second.texts) == (["red", "blue"], ["green"])
    np.testing.assert_array_equal(after[[2, 0, 2]], before)


def test_an_interrupted_run_keeps_the_parts_that_were_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sentence_vectors, "SAVE_EVERY", 2)
    texts = [f"word{number}" for number in "abcdef"]
    with pytest.raises(KeyboardInterrupt):
        SentenceVectors(tmp_path / "e5.npz", CountingModel(most=2)).embed(texts)
    rest = CountingModel()
    SentenceVectors(tmp_path / "e5.npz", rest).embed(texts)
    assert rest.texts == texts[4:]


def test_e5_finds_a_beverage_nearer_to_drinking_than_a_saw(tmp_path: Path) -> None:
    texts = ["something to drink", "beverage", "carpentry saw", "喝的东西"]
    drink, beverage, saw, chinese = SentenceVectors(tmp_path / "e5.npz").embed(texts)
    assert drink @ beverage > drink @ saw + 0.05
    assert drink @ chinese > drink @ saw + 0.05
    assert np.linalg.norm(drink) == pytest.approx(1, abs=1e-3)
