"""Exact neighbours, recall against them, and synthetic vectors."""

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.index_data import compute_index_recalls, find_kth_similarities, synthesise_vectors
from clip_vectorizer.vectors import Vectors, unit

K = 5


def some(count: int, seed: int = 0, dimension: int = 16) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def test_the_kth_similarity_equals_that_of_sorting() -> None:
    vectors_nd, queries_qd = some(300), some(290, seed=1)
    expected = np.sort(queries_qd @ vectors_nd.T, axis=1)[:, -K]
    np.testing.assert_allclose(find_kth_similarities(queries_qd, vectors_nd, K), expected, atol=1e-6)


def test_recall_is_the_share_of_nearest_neighbours_found() -> None:
    vectors_nd, queries_qd = some(100), some(3, seed=1)
    order = np.argsort(-(queries_qd @ vectors_nd.T), axis=1)
    found = [order[0, :K].tolist(), [*order[1, : K - 2].tolist(), *order[1, -2:].tolist()], []]
    assert compute_index_recalls(found, queries_qd, vectors_nd, K).tolist() == [1.0, 0.6, 0.0]


def test_equal_vectors_are_interchangeable_but_count_once() -> None:
    vectors_nd = np.repeat(some(2), 10, axis=0)
    assert compute_index_recalls([[9, 8, 7, 6, 5]], vectors_nd[:1], vectors_nd, K).tolist() == [1.0]
    assert compute_index_recalls([[9, 9, 9, 9, 9]], vectors_nd[:1], vectors_nd, K).tolist() == [0.2]


def test_synthetic_vectors_are_unit_rows_and_equal_for_equal_seeds() -> None:
    made_nd = synthesise_vectors(some(50), 200, seed=3)
    assert made_nd.shape == (200, 16)
    assert made_nd.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(made_nd, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(made_nd, synthesise_vectors(some(50), 200, seed=3))
    assert len(np.unique(made_nd, axis=0)) == 200


def test_synthetic_vectors_stay_near_their_sources() -> None:
    clusters = unit(np.repeat(np.eye(16, dtype=np.float32)[:2], 50, axis=0) + 0.1 * some(100))
    nearest = (synthesise_vectors(clusters, 100, seed=0) @ clusters.T).max(axis=1)
    assert nearest.min() > 0.9


def test_too_few_vectors_raise() -> None:
    with pytest.raises(InputError, match="too few to synthesise others from"):
        synthesise_vectors(some(5), 10, seed=0)
