"""How well each label fits each image: logits, and the shares that a softmax makes of them.

N images · L labels · D dimensions

Which label wins: the same one however the similarities were found.

Weaviate's distances, a matrix product here and one on another machine differ in their last bits. Where two labels are
nearer to each other than that, float64 decides, from the stored vectors; and the order of the labels where even that
finds them equal. N images · L labels · D dimensions
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from clip_vectorizer.query.zeroshot.results import Classification, ImageBatch
from clip_vectorizer.vectors import Vectors

ROUNDING = 1e-5  # of a float32 cosine of up to 1,024 dimensions; found were 1e-6 at most
OTHER = "other"  # the label of an image that shows none of the labels


if TYPE_CHECKING:  # it needs pictures, which need blocks
    from clip_vectorizer.query.search.calls import SearchableCollection


Probabilities = npt.NDArray[np.float64]


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
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: "SearchableCollection | None"
    ) -> Scorer:
        """`labels` in the order of the rows of `labels_ld`, (L, D) float32, unit; `images`: the collection.

        Raises InputError.
        """


@dataclass(frozen=True, slots=True)
class CosineScorer:
    """CLIP as it is: the logit scale times the cosine."""

    labels_ld: Vectors
    logit_scale: float
    cosines: bool = True

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        scaled: Vectors = np.float32(self.logit_scale) * (images_nd @ self.labels_ld.T)
        return scaled


def softmax(logits_nl: npt.NDArray[np.floating]) -> Probabilities:
    """Shares that add up to 1 in each row: (..., L) in, (..., L) out, float64 (Radford et al. 2021, figure 3)."""
    logits = np.asarray(logits_nl, dtype=np.float64)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))  # less the largest: nothing overflows at any scale
    shares: Probabilities = weights / weights.sum(axis=-1, keepdims=True)
    return shares


ExactLogits = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """What every image of a run is decided by."""

    names: Sequence[str]
    labels_ld: Vectors
    logit_scale: float
    other: float | None = None  # the least similarity of a label; below it the image shows something else
    cosines: bool = True  # else similarity is the best label's share: logits that are no cosines tell no distance
    exact: bool = True  # whether the logits are plain cosines, so that close ones can be compared anew

    def classified(
        self, block: ImageBatch, logits_nl: Vectors, vectors_of: Callable[[Sequence[int]], Vectors]
    ) -> list[Classification]:
        """One for each image of `block`, in order. `vectors_of` gives the vectors (n, D) of some of them, by index."""
        good = [index for index in range(len(block)) if index not in block.errors]
        logits = self._with_other(np.asarray(logits_nl, dtype=np.float64)[good])
        if self.exact:
            close = find_close_rows(logits, self.logit_scale * ROUNDING)
            if close.size:
                vectors_nd = vectors_of([good[row] for row in close])
                for row, vector_d in zip(close, vectors_nd, strict=True):
                    if vector_d.any():  # an image that was removed meanwhile has none
                        self._decide_anew(logits[row], vector_d)
        told = iter(self._told(block, good, logits))
        return [build_failure(block, index) if index in block.errors else next(told) for index in range(len(block))]

    def _with_other(self, logits_nl: ExactLogits) -> ExactLogits:
        """ "None of these" is one more label, whose similarity to everything is the threshold.

        Where similarity is a share, it weighs that part of all labels together: it wins if no share is larger.
        """
        if self.other is None:
            return logits_nl
        if self.cosines:
            return np.column_stack([logits_nl, np.full(len(logits_nl), self.other * self.logit_scale)])
        total_n = np.logaddexp.reduce(logits_nl, axis=1)
        return np.column_stack([logits_nl, total_n + (np.log(self.other) if self.other > 0 else -np.inf)])

    def _similarities(self, logits_nl: ExactLogits) -> list[float]:
        """Of the best label."""
        labels_nl = logits_nl[:, : len(self.names)]
        best = labels_nl.max(axis=1) / self.logit_scale if self.cosines else softmax(labels_nl).max(axis=1)
        similarities: list[float] = best.tolist()
        return similarities

    def _decide_anew(self, logits_l: ExactLogits, vector_d: Vectors) -> None:
        """The best two, and all that come near the second, get their logits in float64."""
        second = np.partition(logits_l, -2)[-2]
        near = np.flatnonzero(logits_l >= second - self.logit_scale * ROUNDING)
        near = near[near < len(self.labels_ld)]  # `other` is what it is
        # A sum a row, not a product of matrices: equal rows give equal sums, wherever they stand.
        products = self.labels_ld[near].astype(np.float64) * vector_d.astype(np.float64)
        logits_l[near] = self.logit_scale * products.sum(axis=1)

    def _told(self, block: ImageBatch, good: Sequence[int], logits_nl: ExactLogits) -> list[Classification]:
        if not good:
            return []
        names = [*self.names, OTHER]
        rows = np.arange(len(good))
        best = logits_nl.argmax(axis=1)  # of equal ones the first
        shares = softmax(logits_nl)
        rest = logits_nl.copy()
        rest[rows, best] = -np.inf
        second = rest.argmax(axis=1)
        similarities = self._similarities(logits_nl)
        scores, seconds = shares[rows, best].tolist(), shares[rows, second].tolist()
        return [
            Classification(
                block.paths[index],
                names[best[row]],
                scores[row],
                scores[row] - seconds[row],
                names[second[row]],
                similarity=similarities[row],
                id=block.ids[index],
            )
            for row, index in enumerate(good)
        ]


def find_close_rows(logits_nl: ExactLogits, rounding: float) -> npt.NDArray[np.intp]:
    """The rows whose first or second place float32 may not have decided: (N, L) in, indices out."""
    third = min(3, logits_nl.shape[1])
    top = np.sort(np.partition(logits_nl, -third, axis=1)[:, -third:], axis=1)
    gaps = np.diff(top, axis=1)  # third to second, where there is a third; second to first
    return np.flatnonzero((gaps <= rounding).any(axis=1))


def build_failure(block: ImageBatch, index: int) -> Classification:
    return Classification(block.paths[index], error=block.errors[index], id=block.ids[index])
