"""Ranks, counts and confidence intervals, from similarities and true classes. numpy only.

Wilson's interval and the bootstrap are written here, not taken from scipy: clip-eval prints intervals without the extra
[eval], and the base install has no scipy. A test compares both.

N images · Q queries · L classes · M candidates · D dimensions · R resamples · T ways to measure the same
"""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Vectors

Z95 = 1.959963984540054  # of the normal distribution: 2.5 % lie above
RESAMPLES = 10_000
EXCHANGES_SHARE = 5  # one exchange for so many resamples: each takes longer, and p needs fewer
SIGNIFICANT = 0.05
ROUNDING = 1e-9  # shares that are closer are equal
RESAMPLES_PER_BLOCK = 500  # (500, N) counts at once: 40 MB at 10,000 images
SEED = 20261121
QUERIES_PER_BLOCK = 1024  # rows of similarities held at once: 400 MB at 100,000 candidates
BooleanArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Share:
    """A share of correct results, with the 95 % interval of Wilson 1927, which stays within 0..1.

    >>> round(Share(81, 263).value, 4)
    0.308
    """

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
    """Return the interval of a share, each end in 0..1 (Wilson 1927); (0, 1) if `total` is 0."""
    if total == 0:
        return 0.0, 1.0
    share, shrink = hits / total, z * z / total
    middle = (share + shrink / 2) / (1 + shrink)
    half = z * sqrt(share * (1 - share) / total + shrink / (4 * total)) / (1 + shrink)
    # With no hits or only hits one end equals the share, except for rounding.
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


@dataclass(frozen=True, slots=True)
class Difference:
    """Difference of two means over the same images."""

    mean: float
    low: float
    high: float
    p: float  # two-sided

    @property
    def significant(self) -> bool:
        """Whether the 95 % interval excludes 0."""
        return not self.low <= 0.0 <= self.high


def paired_bootstrap(
    ours_n: npt.ArrayLike, theirs_n: npt.ArrayLike, resamples: int = RESAMPLES, seed: int = SEED
) -> Difference:
    """Return mean(ours) - mean(theirs) with its 95 % percentile interval, over images drawn with replacement.

    Paired: both sides use the same images in each resample, so images that are hard for both cancel out (Efron and
    Tibshirani 1993, chapters 13 and 16). p = 2 * the smaller share of resamples on either side of 0, with 1 added to
    both counts.
    """
    difference_n = np.asarray(ours_n, dtype=np.float64) - np.asarray(theirs_n, dtype=np.float64)
    means_r = resample_means(difference_n, resamples, seed)
    low, high = np.quantile(means_r, (0.025, 0.975))
    sides = ((means_r <= 0).sum(), (means_r >= 0).sum())
    p = min(1.0, 2 * (min(sides) + 1) / (resamples + 1))
    return Difference(float(difference_n.mean()), float(low), float(high), float(p))


def resample_means(values_n: npt.NDArray[np.float64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """Return (R,) means of the values drawn with replacement. Raises ValueError when there are none."""
    count = len(values_n)
    if count == 0:
        raise ValueError("no values to draw from")
    random, even = np.random.default_rng(seed), np.full(count, 1 / count)
    blocks = split_blocks(resamples)
    return np.concatenate([random.multinomial(count, even, size=size) @ values_n / count for size in blocks])


def split_blocks(resamples: int) -> list[int]:
    """Return the sizes of blocks that together are `resamples`."""
    return [min(RESAMPLES_PER_BLOCK, resamples - start) for start in range(0, resamples, RESAMPLES_PER_BLOCK)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Largest less smallest share among several ways to measure the same thing on the same images."""

    value: float
    low: float
    high: float
    by_chance: float  # mean spread of ways that are equally good
    p: float  # share of equally good ways with at least this spread


def bootstrap_spread(right_tn: BooleanArray, resamples: int = RESAMPLES, seed: int = SEED) -> Spread:
    """Return the spread of T shares over the same N images, with its 95 % interval over images.

    A maximum adds chance to a spread, in a resample once more than in the sample, so percentiles lie too high. The
    interval is 2 * value - percentiles (basic bootstrap, Davison and Hinkley 1997, section 5.2), and begins at 0 where
    equally good ways are not excluded at 5 %. It covered the true spread in about nine of ten simulations.
    `by_chance` and `p` are from exchanging the ways at random within each image, which equally good ways allow.
    Raises ValueError when there are no images.
    """
    count = right_tn.shape[1]
    if count == 0:
        raise ValueError("no images to draw from")
    right_nt, random, even = right_tn.T.astype(np.float64), np.random.default_rng(seed), np.full(count, 1 / count)
    value = float(compute_spread(right_nt.mean(axis=0)))
    drawn = [random.multinomial(count, even, size=size) @ right_nt / count for size in split_blocks(resamples)]
    most, least = np.quantile(compute_spread(np.concatenate(drawn)), (0.025, 0.975))
    exchanged_r = np.array(
        [compute_spread(random.permuted(right_nt, axis=1).mean(axis=0)) for _ in range(resamples // EXCHANGES_SHARE)]
    )
    p = float((exchanged_r >= value - ROUNDING).sum() + 1) / (len(exchanged_r) + 1)
    low = max(0.0, 2 * value - least) if p < SIGNIFICANT else 0.0
    return Spread(value, float(low), float(max(value, 2 * value - most)), float(exchanged_r.mean()), p)


def compute_spread(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return largest less smallest over the last axis."""
    spread: npt.NDArray[np.float64] = np.ptp(shares, axis=-1)
    return spread


IntegerArray = npt.NDArray[np.int64]
Similarities = npt.NDArray[np.floating]


def is_right_at(ranks_n: IntegerArray, k: int) -> BooleanArray:
    """Return (N,): whether the true class is among the first `k`."""
    return ranks_n <= k


def rank_true_classes(similarities_nl: Similarities, truth_n: IntegerArray) -> IntegerArray:
    """Return (N,) ranks, from 1, of the true class: (N, L) similarities and (N,) class numbers in.

    Ties count as errors: a class as similar as the true one ranks before it, so a constant model is never right.

    >>> rank_true_classes(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0, 1])).tolist()
    [1, 2]
    """
    true_n1 = np.take_along_axis(similarities_nl, truth_n[:, None], axis=1)
    ranks_n: IntegerArray = (similarities_nl >= true_n1).sum(axis=1)
    return ranks_n


def predict_classes(similarities_nl: Similarities, truth_n: IntegerArray) -> IntegerArray:
    """Return (N,) class numbers: the most similar one; of equal ones not the true one, as in `rank_true_classes`."""
    others_nl = np.array(similarities_nl, dtype=np.float64)
    np.put_along_axis(others_nl, truth_n[:, None], -np.inf, axis=1)
    right_n = is_right_at(rank_true_classes(similarities_nl, truth_n), 1)
    return np.where(right_n, truth_n, others_nl.argmax(axis=1))


def count_confusion(truth_n: IntegerArray, predicted_n: IntegerArray, classes: int) -> IntegerArray:
    """Return (L, L) counts: row = true class, column = predicted class."""
    counts = np.bincount(truth_n * classes + predicted_n, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def rank_candidates(
    queries_qd: Vectors, candidates_md: Vectors, of_query_q: IntegerArray, of_candidate_m: IntegerArray
) -> IntegerArray:
    """Return (Q,) ranks, from 1, of the best relevant candidate of each query: one with the number of the query.

    Several candidates may be relevant (equal captions): the best one counts, as in recall@k. Ties count as errors.
    Raises ValueError for a query without a relevant candidate.
    """
    blocks = [slice(start, start + QUERIES_PER_BLOCK) for start in range(0, len(queries_qd), QUERIES_PER_BLOCK)]
    ranks = [
        rank_best_candidates(queries_qd[block] @ candidates_md.T, of_query_q[block, None] == of_candidate_m)
        for block in blocks
    ]
    return np.concatenate(ranks) if ranks else np.empty(0, dtype=np.int64)


def rank_best_candidates(similarities_qm: Similarities, relevant_qm: BooleanArray) -> IntegerArray:
    """Return (Q,) ranks of the best relevant candidate among all that are not relevant."""
    if not relevant_qm.any(axis=1).all():
        raise ValueError(f"no relevant candidate for query {int(np.argmin(relevant_qm.any(axis=1)))}")
    best_q1 = np.where(relevant_qm, similarities_qm, -np.inf).max(axis=1, keepdims=True)
    before_q: IntegerArray = ((similarities_qm >= best_q1) & ~relevant_qm).sum(axis=1)
    return 1 + before_q
