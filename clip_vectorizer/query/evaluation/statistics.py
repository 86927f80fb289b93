"""How sure a count is. N images · R resamples

Counts of right answers. All numpy, no model: a similarity matrix and the truth in, ranks and counts out.

N images or queries · L classes · M candidates · D dimensions
"""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Vectors

Z95 = 1.959963984540054  # of the normal distribution: 2.5 % lie above
RESAMPLES = 10_000
RESAMPLES_PER_BLOCK = 500  # (500, N) counts at once: 40 MB at 10,000 images
SEED = 20261121
QUERIES_PER_BLOCK = 1024  # rows of similarities held at once: 400 MB at 100,000 candidates
BooleanArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many were right, with the 95 % interval of Wilson 1927: it stays within 0..1, also at 0 of N."""

    hits: int
    total: int

    @classmethod
    def of(cls, right_n: BooleanArray) -> Self:
        return cls(int(right_n.sum()), len(right_n))

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.hits, self.total)


def wilson_interval(hits: int, total: int, z: float = Z95) -> tuple[float, float]:
    """The interval of a share, each end 0..1 (Wilson 1927). Of nothing nothing is known: 0 and 1."""
    if total == 0:
        return 0.0, 1.0
    share, shrink = hits / total, z * z / total
    middle = (share + shrink / 2) / (1 + shrink)
    half = z * sqrt(share * (1 - share) / total + shrink / (4 * total)) / (1 + shrink)
    # Where no or all hits, one end is the share itself, but for rounding.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


@dataclass(frozen=True, slots=True)
class Difference:
    """Of two means over the same images."""

    mean: float
    low: float
    high: float
    p: float  # two-sided: how often chance alone would show as much

    @property
    def shown(self) -> bool:
        """Whether these images tell the two apart, at 95 %."""
        return not self.low <= 0.0 <= self.high


def paired_bootstrap(
    ours_n: npt.ArrayLike, theirs_n: npt.ArrayLike, resamples: int = RESAMPLES, seed: int = SEED
) -> Difference:
    """mean(ours) - mean(theirs) with its 95 % percentile interval, over images drawn with replacement.

    Paired: both sides keep the same images in each resample, so what is hard for both falls out (Efron and Tibshirani
    1993, chapters 13 and 16). p = 2 * the smaller share of resamples on either side of 0, each counted once more.
    """
    difference_n = np.asarray(ours_n, dtype=np.float64) - np.asarray(theirs_n, dtype=np.float64)
    means_r = resample_means(difference_n, resamples, seed)
    low, high = np.quantile(means_r, (0.025, 0.975))
    sides = ((means_r <= 0).sum(), (means_r >= 0).sum())
    p = min(1.0, 2 * (min(sides) + 1) / (resamples + 1))
    return Difference(float(difference_n.mean()), float(low), float(high), float(p))


def resample_means(values_n: npt.NDArray[np.float64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """(R,) means of the values drawn with replacement. Raises ValueError when there are none."""
    count = len(values_n)
    if count == 0:
        raise ValueError("no values to draw from")
    random, even = np.random.default_rng(seed), np.full(count, 1 / count)
    sizes = [min(RESAMPLES_PER_BLOCK, resamples - start) for start in range(0, resamples, RESAMPLES_PER_BLOCK)]
    return np.concatenate([random.multinomial(count, even, size=size) @ values_n / count for size in sizes])


IntegerArray = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.floating]


def is_right_at(ranks_n: IntegerArray, k: int) -> BooleanArray:
    """(N,): whether the right answer is among the first `k`."""
    return ranks_n <= k


def rank_true_classes(similarities_nl: Similarities, truth_n: IntegerArray) -> IntegerArray:
    """(N,) places, from 1, of the true class among all: (N, L) similarities, (N,) class numbers.

    Ties count against: a class as similar as the true one stands before it. So a model that says the same of
    everything is wrong everywhere, not right by the order of the classes.
    """
    true_n1 = np.take_along_axis(similarities_nl, truth_n[:, None], axis=1)
    ranks_n: IntegerArray = (similarities_nl >= true_n1).sum(axis=1)
    return ranks_n


def predict_classes(similarities_nl: Similarities, truth_n: IntegerArray) -> IntegerArray:
    """(N,) class numbers: the most similar one; of several equal ones not the true one, as in `rank_true_classes`."""
    others_nl = np.array(similarities_nl, dtype=np.float64)
    np.put_along_axis(others_nl, truth_n[:, None], -np.inf, axis=1)
    right_n = is_right_at(rank_true_classes(similarities_nl, truth_n), 1)
    return np.where(right_n, truth_n, others_nl.argmax(axis=1))


def count_confusion(truth_n: IntegerArray, predicted_n: IntegerArray, classes: int) -> IntegerArray:
    """(L, L) counts: row = true class, column = what it was taken for."""
    counts = np.bincount(truth_n * classes + predicted_n, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def rank_candidates(
    queries_qd: Vectors, candidates_md: Vectors, of_query_q: IntegerArray, of_candidate_m: IntegerArray
) -> IntegerArray:
    """(Q,) places, from 1, of the best candidate that belongs to each query: those with the query's own number.

    Several candidates may belong to one query (equal captions): the best one counts, as in recall@k. Ties count
    against. Raises ValueError for a query to which none belongs.
    """
    blocks = [slice(start, start + QUERIES_PER_BLOCK) for start in range(0, len(queries_qd), QUERIES_PER_BLOCK)]
    ranks = [
        rank_best_candidates(queries_qd[block] @ candidates_md.T, of_query_q[block, None] == of_candidate_m)
        for block in blocks
    ]
    return np.concatenate(ranks) if ranks else np.empty(0, dtype=np.int64)


def rank_best_candidates(similarities_qm: Similarities, belongs_qm: BooleanArray) -> IntegerArray:
    """(Q,) places of each query's best own candidate among all that are not its own."""
    if not belongs_qm.any(axis=1).all():
        raise ValueError(f"nothing belongs to query {int(np.argmin(belongs_qm.any(axis=1)))}")
    best_q1 = np.where(belongs_qm, similarities_qm, -np.inf).max(axis=1, keepdims=True)
    before_q: IntegerArray = ((similarities_qm >= best_q1) & ~belongs_qm).sum(axis=1)
    return 1 + before_q


def recall_at_k(ranks_q: IntegerArray, k: int) -> float:
    """The share of queries whose own candidate is among the first `k`, 0..1."""
    return float(is_right_at(ranks_q, k).mean())
