"""Ranks and counts, against simple references."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.query.evaluation.statistics import (
    IntegerArray,
    Share,
    Similarities,
    count_confusion,
    is_right_at,
    predict_classes,
    rank_candidates,
    rank_true_classes,
)
from clip_vectorizer.vectors import unit


def some(seed: int, ties: bool = False) -> tuple[Similarities, IntegerArray]:
    random = np.random.default_rng(seed)
    similarities_nl = random.integers(0, 4, (13, 5)).astype(np.float32) if ties else random.normal(size=(13, 5))
    return similarities_nl, random.integers(0, 5, 13)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_rank_counts_the_classes_that_are_as_similar_or_more(seed: int, ties: bool) -> None:
    similarities_nl, truth_n = some(seed, ties)
    expected = [sum(other >= row[true] for other in row) for row, true in zip(similarities_nl, truth_n, strict=True)]
    assert rank_true_classes(similarities_nl, truth_n).tolist() == expected


def test_a_constant_model_is_never_right() -> None:
    truth_n = np.array([0, 1, 2])
    ranks_n = rank_true_classes(np.ones((3, 3), dtype=np.float32), truth_n)
    assert not is_right_at(ranks_n, 1).any()
    assert is_right_at(ranks_n, 3).all()
    assert (predict_classes(np.ones((3, 3)), truth_n) != truth_n).all()


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_diagonal_of_the_confusion_counts_correct_images(seed: int, ties: bool) -> None:
    similarities_nl, truth_n = some(seed, ties)
    counts_ll = count_confusion(truth_n, predict_classes(similarities_nl, truth_n), 5)
    assert counts_ll.trace() == is_right_at(rank_true_classes(similarities_nl, truth_n), 1).sum()
    assert counts_ll.sum(axis=1).tolist() == [int((truth_n == each).sum()) for each in range(5)]


def test_rows_of_the_confusion_are_true_classes() -> None:
    assert count_confusion(np.array([0, 0, 1]), np.array([1, 1, 1]), 2).tolist() == [[0, 2], [0, 1]]


@given(st.integers(0, 2**32 - 1))
def test_retrieval_ranks_equal_those_of_sorting(seed: int) -> None:
    random = np.random.default_rng(seed)
    queries_qd = unit(random.normal(size=(7, 4)).astype(np.float32))
    candidates_md = unit(random.normal(size=(9, 4)).astype(np.float32))
    of_query_q, of_candidate_m = np.arange(7) % 3, np.arange(9) % 3
    ranks = rank_candidates(queries_qd, candidates_md, of_query_q, of_candidate_m)
    for query_d, own, rank in zip(queries_qd, of_query_q, ranks, strict=True):
        order = [int(of_candidate_m[place]) for place in np.argsort(-(candidates_md @ query_d))]
        assert rank == order.index(own) + 1  # before the first of its own there are only others


def test_a_query_with_several_relevant_candidates_counts_once() -> None:
    vectors = np.eye(3, dtype=np.float32)
    ranks_q = rank_candidates(vectors[:1], vectors, np.array([7]), np.array([7, 7, 8]))
    assert Share.of(is_right_at(ranks_q, 1)) == Share(1, 1)


def test_equal_candidates_count_against_the_query() -> None:
    same = np.ones((4, 1), dtype=np.float32)
    ranks_q = rank_candidates(same[:1], same, np.array([0]), np.array([0, 1, 2, 3]))
    assert ranks_q.tolist() == [4]


def test_a_query_without_a_relevant_candidate_raises() -> None:
    one = np.ones((1, 1), dtype=np.float32)
    with pytest.raises(ValueError, match="no relevant candidate for query 0"):
        rank_candidates(one, one, np.array([0]), np.array([1]))
