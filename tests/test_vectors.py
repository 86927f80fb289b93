"""Properties of the two operations that everything else is made of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.vectors import Vectors, ensemble, unit

SEEDS = st.integers(0, 2**32 - 1)


def unit_vectors(seed: int, *shape: int) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@given(seed=SEEDS, prompts=st.integers(1, 80))
def test_an_ensemble_is_as_long_as_its_prompts(seed: int, prompts: int) -> None:
    vectors_ld = ensemble(unit_vectors(seed, 3, prompts, 8))
    np.testing.assert_allclose(np.linalg.norm(vectors_ld, axis=-1), 1, atol=1e-6)


@given(seed=SEEDS, order=st.permutations(range(5)))
def test_an_ensemble_ignores_the_order_of_prompts(seed: int, order: list[int]) -> None:
    prompts_lpd = unit_vectors(seed, 3, 5, 8)
    np.testing.assert_allclose(ensemble(prompts_lpd[:, order]), ensemble(prompts_lpd), atol=1e-6)


@given(seed=SEEDS)
def test_an_ensemble_of_one_prompt_is_that_prompt(seed: int) -> None:
    prompts_lpd = unit_vectors(seed, 3, 1, 8)
    np.testing.assert_allclose(ensemble(prompts_lpd), prompts_lpd[:, 0], atol=1e-6)


@given(seed=SEEDS, times=st.integers(2, 9))
def test_a_repeated_prompt_counts_once(seed: int, times: int) -> None:
    prompts_lpd = unit_vectors(seed, 3, 1, 8)
    np.testing.assert_allclose(ensemble(np.repeat(prompts_lpd, times, axis=1)), prompts_lpd[:, 0], atol=1e-6)


def test_a_row_of_zeros_stays_zero_and_is_not_nan() -> None:
    np.testing.assert_array_equal(unit(np.zeros((1, 4), dtype=np.float32)), np.zeros((1, 4)))


def test_vectors_stay_float32() -> None:
    assert ensemble(unit_vectors(0, 2, 3, 4)).dtype == np.float32
