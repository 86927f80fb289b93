"""Threshold for "other": an image with a lower score shows none of the labels.

The score is the best cosine; of a sigmoid model the probability of the best label; with shots, whose logits are not
cosines, its share. The margin, the softmax over cosines (MCM, Ming et al. 2022), the energy and mean removal were
compared with the cosine (benchmarks/adapting.py): the energy is as good, the others are worse. N images
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import InputError

LEAST_FIXED_VALUE = 0.001  # a lower one, of a sigmoid model, would be 0.000

LabelScores = npt.NDArray[np.floating]
KnownMask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Threshold:
    """An image with a score of at least `value` shows one of the labels.

    The other fields are results on the validation set.
    """

    value: float
    balanced_accuracy: float  # 0..1, mean of the two shares below; 0.5 is chance
    known_kept: float  # share of the labels' images at or above the threshold
    others_found: float  # share of all other images below it
    images: int  # in the validation set

    @classmethod
    def choose(cls, scores_n: LabelScores, known_n: KnownMask) -> "Threshold":
        """Choose the best balanced accuracy on a validation set; of equally good ones, the middle of the widest gap.

        `scores_n`: (N,) similarities. `known_n`: (N,) whether the image shows one of the labels.
        Raises InputError unless there are images of both kinds.

        >>> round(Threshold.choose(np.array([0.8, 0.6, 0.2]), np.array([True, True, False])).value, 3)
        0.4
        """
        known, others = np.sort(scores_n[known_n]), np.sort(scores_n[~known_n])
        if not len(known) or not len(others):
            raise InputError(
                f"choosing a threshold needs images of the labels and others; there are {len(known)} "
                f"and {len(others)}: put them into folders, named by a label or by anything else"
            )
        levels, cuts = list_cuts(scores_n)
        kept = 1 - np.searchsorted(known, cuts) / len(known)
        found = np.searchsorted(others, cuts) / len(others)
        balanced = (kept + found) / 2
        widths = np.diff(levels)
        best = max(range(len(cuts)), key=lambda cut: (round(float(balanced[cut]), 12), float(widths[cut])))
        return cls(
            float(cuts[best]), float(balanced[best]), float(kept[best]), float(found[best]), len(known) + len(others)
        )

    def __str__(self) -> str:
        digits = ".2g" if 0 < self.value < LEAST_FIXED_VALUE else ".3f"
        return (
            f"threshold {self.value:{digits}}: balanced accuracy {self.balanced_accuracy:.3f} on {self.images} images "
            f"({self.known_kept:.0%} of the labels' images kept, {self.others_found:.0%} of the others found; "
            "chance is 0.500)"
        )


def list_cuts(scores_n: LabelScores) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the distinct scores, with one more at each end, and the midpoints between neighbours."""
    levels = np.unique(scores_n.astype(np.float64))
    pad = max(float(levels[-1] - levels[0]), 1e-3) * 1e-3  # small: a wide outer gap must not win a tie
    levels = np.concatenate([[levels[0] - pad], levels, [levels[-1] + pad]])
    return levels, (levels[1:] + levels[:-1]) / 2


def auroc(scores_n: LabelScores, known_n: KnownMask) -> float:
    """Return how often a known image scores higher than an unknown one; ties count half, 0.5 is chance.

    >>> auroc(np.array([3.0, 1.0, 2.0]), np.array([True, True, False]))
    0.5
    """
    known, others = scores_n[known_n], np.sort(scores_n[~known_n])
    below = np.searchsorted(others, known, "left") + np.searchsorted(others, known, "right")
    return float(below.sum() / 2 / (len(known) * len(others)))
