"""How well each label fits each image: logits, and the shares that a softmax makes of them.

N images · L labels · D dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Vectors

if TYPE_CHECKING:  # it needs pictures, which need blocks
    from clip_vectorizer.query.searching.answering import ImageStore

Shares = npt.NDArray[np.float64]


class Scorer(Protocol):
    @property
    def cosines(self) -> bool:
        """Whether logits are the logit scale times a cosine. Else they compare labels, but tell no distance."""

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        """(N, L) float32, on the scale of the model's own logits: logit scale times cosine, plus what is known better.

        `images_nd`: (N, D) unit rows. `ids`: of their objects, "" for files; a shot must not vote for itself.
        """


class Boost(Protocol):
    """What makes a better scorer, once the labels' vectors are there: a few-shot cache, a probe, removed means."""

    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: "ImageStore | None"
    ) -> Scorer:
        """`labels` in the order of the rows of `labels_ld`, (L, D) float32, unit; `images`: the collection.

        Raises InputError.
        """


@dataclass(frozen=True, slots=True)
class Plain:
    """CLIP as it is: the logit scale times the cosine."""

    labels_ld: Vectors
    logit_scale: float
    cosines: bool = True

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        scaled: Vectors = np.float32(self.logit_scale) * (images_nd @ self.labels_ld.T)
        return scaled


def softmax(logits_nl: npt.NDArray[np.floating]) -> Shares:
    """Shares that add up to 1 in each row: (..., L) in, (..., L) out, float64 (Radford et al. 2021, figure 3)."""
    logits = np.asarray(logits_nl, dtype=np.float64)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))  # less the largest: nothing overflows at any scale
    shares: Shares = weights / weights.sum(axis=-1, keepdims=True)
    return shares
