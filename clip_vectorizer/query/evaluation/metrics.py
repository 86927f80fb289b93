"""Counts of right answers. All numpy, no model: a similarity matrix and the truth in, ranks and counts out.

N images or queries · L classes · M candidates · D dimensions
"""

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Vectors

Numbers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]
Similarities = npt.NDArray[np.floating]

QUERIES_A_BLOCK = 1024  # rows of similarities held at once: 400 MB at 100,000 candidates


def right_at(ranks_n: Numbers, k: int) -> Truths:
    """(N,): whether the right answer is among the first `k`."""
    return ranks_n <= k


def ranks_of(similarities_nl: Similarities, truth_n: Numbers) -> Numbers:
    """(N,) places, from 1, of the true class among all: (N, L) similarities, (N,) class numbers.

    Ties count against: a class as similar as the true one stands before it. So a model that says the same of
    everything is wrong everywhere, not right by the order of the classes.
    """
    true_n1 = np.take_along_axis(similarities_nl, truth_n[:, None], axis=1)
    ranks_n: Numbers = (similarities_nl >= true_n1).sum(axis=1)
    return ranks_n


def predicted(similarities_nl: Similarities, truth_n: Numbers) -> Numbers:
    """(N,) class numbers: the most similar one; of several equal ones not the true one, as in `ranks_of`."""
    others_nl = np.array(similarities_nl, dtype=np.float64)
    np.put_along_axis(others_nl, truth_n[:, None], -np.inf, axis=1)
    right_n = right_at(ranks_of(similarities_nl, truth_n), 1)
    return np.where(right_n, truth_n, others_nl.argmax(axis=1))


def confusion(truth_n: Numbers, predicted_n: Numbers, classes: int) -> Numbers:
    """(L, L) counts: row = true class, column = what it was taken for."""
    counts = np.bincount(truth_n * classes + predicted_n, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def retrieval_ranks(
    queries_qd: Vectors, candidates_md: Vectors, of_query_q: Numbers, of_candidate_m: Numbers
) -> Numbers:
    """(Q,) places, from 1, of the best candidate that belongs to each query: those with the query's own number.

    Several candidates may belong to one query (equal captions): the best one counts, as in recall@k. Ties count
    against. Raises ValueError for a query to which none belongs.
    """
    blocks = [slice(start, start + QUERIES_A_BLOCK) for start in range(0, len(queries_qd), QUERIES_A_BLOCK)]
    ranks = [
        best_ranks(queries_qd[block] @ candidates_md.T, of_query_q[block, None] == of_candidate_m) for block in blocks
    ]
    return np.concatenate(ranks) if ranks else np.empty(0, dtype=np.int64)


def best_ranks(similarities_qm: Similarities, belongs_qm: Truths) -> Numbers:
    """(Q,) places of each query's best own candidate among all that are not its own."""
    if not belongs_qm.any(axis=1).all():
        raise ValueError(f"nothing belongs to query {int(np.argmin(belongs_qm.any(axis=1)))}")
    best_q1 = np.where(belongs_qm, similarities_qm, -np.inf).max(axis=1, keepdims=True)
    before_q: Numbers = ((similarities_qm >= best_q1) & ~belongs_qm).sum(axis=1)
    return 1 + before_q


def recall_at_k(ranks_q: Numbers, k: int) -> float:
    """The share of queries whose own candidate is among the first `k`, 0..1."""
    return float(right_at(ranks_q, k).mean())
