"""Phrases against the regions of one picture, and how likely each region is what a phrase names.

N regions · P phrases · V names · D dimensions
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.boxes import ScoreArray
from clip_vectorizer.models.grounding.scores import compute_logits
from clip_vectorizer.vectors import Vectors

NAMING_SCALE = 30.0  # of cosines over all names, in the training of the image tower and of the head


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Vectors of common names, which compete for every region.

    A phrase is of a region when it fits better than other names do, not when it fits: to a crop of an apple, "tomato"
    may be nearer than to anything else in the picture.
    """

    names_vd: Vectors

    def measure(self, regions_nd: Vectors) -> ScoreArray:
        """Return (N,): log of the mean over the names of e^(s cosine), divided by s, the scale of the training.

        So the difference to a phrase's cosine is the logarithm of its share in a softmax over the names, up to s.
        """
        logits_nv = NAMING_SCALE * (regions_nd @ self.names_vd.T)
        shares_n = np.logaddexp.reduce(logits_nv.astype(np.float64), axis=1) - np.log(len(self.names_vd))
        return np.asarray(shares_n / NAMING_SCALE, dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Phrases against the regions of one picture, whose objectness is known."""

    objectness_n: ScoreArray
    cosines_pn: ScoreArray
    names_n: ScoreArray  # as `Vocabulary.measure` returns it

    @property
    def features_pn3(self) -> ScoreArray:
        """Return the cosine, what other names reach at the region, and the logit of its objectness."""
        odds_n = compute_logits(self.objectness_n)
        joined = np.stack(np.broadcast_arrays(self.cosines_pn, self.names_n, odds_n), axis=-1)
        return joined.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression: how likely a region is what a phrase names. Fitted on scenes with absent phrases, too."""

    weights: tuple[float, float, float]  # of the features of a comparison
    shift: float

    def compute_logits(self, found: Comparison) -> ScoreArray:
        return np.asarray(found.features_pn3 @ np.array(self.weights) + self.shift, dtype=np.float32)


# Vectors of regions: the head's and the crops', or one of them; the last without objectness, whose feature is then 0.
BOTH, ALONE, CROPPED, UNRATED = KINDS = ("both", "alone", "cropped", "unrated")
UNKNOWN_OBJECTNESS = 0.5  # of which the logit is 0


@dataclass(frozen=True, slots=True)
class HeadParts:
    """What the file of a head has beside the network."""

    vocabulary: Vocabulary
    calibrations: Mapping[str, Calibration]  # by the vectors that are compared
