"""How sure a count is. N images · R resamples"""

from dataclasses import dataclass
from math import sqrt
from typing import Self

import numpy as np
import numpy.typing as npt

from clip_vectorizer.query.evaluation.metrics import Truths

Z95 = 1.959963984540054  # of the normal distribution: 2.5 % lie above
RESAMPLES = 10_000
RESAMPLES_A_BLOCK = 500  # (500, N) counts at once: 40 MB at 10,000 images
SEED = 20261121


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many were right, with the 95 % interval of Wilson 1927: it stays within 0..1, also at 0 of N."""

    hits: int
    total: int

    @classmethod
    def of(cls, right_n: Truths) -> Self:
        return cls(int(right_n.sum()), len(right_n))

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.total)


def wilson(hits: int, total: int, z: float = Z95) -> tuple[float, float]:
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
    means_r = resampled_means(difference_n, resamples, seed)
    low, high = np.quantile(means_r, (0.025, 0.975))
    sides = ((means_r <= 0).sum(), (means_r >= 0).sum())
    p = min(1.0, 2 * (min(sides) + 1) / (resamples + 1))
    return Difference(float(difference_n.mean()), float(low), float(high), float(p))


def resampled_means(values_n: npt.NDArray[np.float64], resamples: int, seed: int) -> npt.NDArray[np.float64]:
    """(R,) means of the values drawn with replacement. Raises ValueError when there are none."""
    count = len(values_n)
    if count == 0:
        raise ValueError("no values to draw from")
    random, even = np.random.default_rng(seed), np.full(count, 1 / count)
    sizes = [min(RESAMPLES_A_BLOCK, resamples - start) for start in range(0, resamples, RESAMPLES_A_BLOCK)]
    return np.concatenate([random.multinomial(count, even, size=size) @ values_n / count for size in sizes])
