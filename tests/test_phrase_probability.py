"""Probabilities of phrases: the formula, and that it keeps the order of the cosines."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.phrase_probability import BACKGROUND, calibrate, sigmoid


def draw_cosines(seed: int, rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).uniform(-0.2, 0.5, (rows, 7)).astype(np.float32)


@given(st.integers(0, 2**32 - 1))
def test_a_greater_cosine_is_never_less_probable(seed: int) -> None:
    cosines = draw_cosines(seed, 3)
    probabilities = calibrate(cosines, draw_cosines(seed + 1, len(BACKGROUND)), 30.0)
    order = np.argsort(cosines.ravel())
    assert (np.diff(probabilities.ravel()[order]) >= 0).all()
    assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_one_background_prompt_makes_a_softmax_of_two() -> None:
    phrase, background = np.array([[0.3]], dtype=np.float32), np.array([[0.2]], dtype=np.float32)
    expected = np.exp(3.0) / (np.exp(3.0) + np.exp(2.0))
    assert calibrate(phrase, background, 10.0)[0, 0] == pytest.approx(expected, abs=1e-6)


def test_a_sigmoid_model_has_its_own_bias() -> None:
    phrase = np.array([[0.1]], dtype=np.float32)
    assert calibrate(phrase, phrase, 100.0, -10.0)[0, 0] == pytest.approx(0.5, abs=1e-6)


def test_a_vector_that_is_no_number_stays_one() -> None:
    nothing = np.full((1, 1), np.nan, dtype=np.float32)
    assert np.isnan(calibrate(nothing, nothing, 10.0)).all()


def test_the_sigmoid_does_not_overflow() -> None:
    assert sigmoid(np.array([-1e6, 0.0, 1e6])).tolist() == [0, 0.5, 1]
