"""None of these: an image that is near to no label is said to show something else.

The score is the best cosine; where shots vote, whose logits are no cosines, the best label's share. The margin, the
softmax over cosines (MCM, Ming et al. 2022), the energy and mean removal were measured beside the cosine
(benchmarks/adapting.py): the energy is as good, the others are worse. N images
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clip_vectorizer.errors import InputError

LabelScores = npt.NDArray[np.floating]
KnownMask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Threshold:
    """At or above `value` an image shows one of the labels. The rest is what that achieved where it was chosen."""

    value: float
    balanced_accuracy: float  # 0..1, mean of the two shares below; 0.5 is chance
    known_kept: float  # share of the images of the labels that are taken for one
    others_found: float  # share of all other images that are taken for none
    images: int  # it was chosen on

    @classmethod
    def choose(cls, scores_n: LabelScores, known_n: KnownMask) -> "Threshold":
        """The best balanced accuracy on a validation set; of equally good ones, the middle of the widest gap.

        Raises InputError unless there are images of both kinds.
        """
        known, others = np.sort(scores_n[known_n]), np.sort(scores_n[~known_n])
        if not len(known) or not len(others):
            raise InputError(
                f"the threshold of 'none of these' needs images of the labels and others; there are {len(known)} "
                f"and {len(others)}: put them into folders, named by a label or by anything else"
            )
        levels, cuts = list_cuts(scores_n)
        kept = 1 - np.searchsorted(known, cuts) / len(known)
        found = np.searchsorted(others, cuts) / len(others)
        balanced = (kept + found) / 2
        widths = np.diff(levels)
        best = max(range(len(cuts)), key=lambda place: (round(float(balanced[place]), 12), float(widths[place])))
        return cls(
            float(cuts[best]), float(balanced[best]), float(kept[best]), float(found[best]), len(known) + len(others)
        )

    def __str__(self) -> str:
        return (
            f"threshold {self.value:.3f}: balanced accuracy {self.balanced_accuracy:.3f} on {self.images} images "
            f"({self.known_kept:.0%} of the labels' images kept, {self.others_found:.0%} of the others found; "
            "chance is 0.500)"
        )


def list_cuts(scores_n: LabelScores) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """All different levels, padded by one at each end, and the middles between neighbours."""
    levels = np.unique(scores_n.astype(np.float64))
    pad = max(float(levels[-1] - levels[0]), 1e-3) * 1e-3  # just outside: a wide outer gap must not win a tie
    levels = np.concatenate([[levels[0] - pad], levels, [levels[-1] + pad]])
    return levels, (levels[1:] + levels[:-1]) / 2


def auroc(scores_n: LabelScores, known_n: KnownMask) -> float:
    """How often a known image scores higher than an unknown one, ties counting half; 0.5 is chance."""
    known, others = scores_n[known_n], np.sort(scores_n[~known_n])
    below = np.searchsorted(others, known, "left") + np.searchsorted(others, known, "right")
    return float(below.sum() / 2 / (len(known) * len(others)))
