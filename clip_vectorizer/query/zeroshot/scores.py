"""Which label each image gets: logits, scores, and the decision between labels of nearly equal logits.

The decision does not depend on how similarities were computed. Weaviate's distances, a matrix product here and one on
another machine differ in their last bits. Where two labels are closer than that, float64 decides, from the stored
vectors; if even that finds them equal, the order of the labels decides.

Scores are shares of a softmax over all labels, or, for a sigmoid model such as SigLIP (Zhai et al. 2023), each label's
own probability: sigmoid(logit scale * cosine + logit bias). Logits in this package are without the bias, which changes
no order. N images · L labels · D dimensions
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

import numpy as np
import numpy.typing as npt

from clip_vectorizer.query.search.calls import SearchableCollection
from clip_vectorizer.vectors import Vectors

ROUNDING = 1e-5  # of a float32 cosine of up to 1,024 dimensions; measured were 1e-6 at most
OTHER = "other"  # the label of an image below the threshold
LOGITS_AT_ONCE = 500_000  # 4 MB as float64, which stays in a cache: a batch of 500 images and 1,000 labels

Probabilities = npt.NDArray[np.float64]
ExactLogits = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Classification:
    """Result for one image. With `error` the other fields except `path` and `id` are empty or 0.

    `similarity` is what `threshold` is compared with: the cosine of the best label; of a sigmoid model its score; with
    shots its share.
    """

    path: str
    label: str = ""
    score: float = 0.0  # 0..1, share in a softmax over all labels; of a sigmoid model the label's own probability
    margin: float = 0.0  # score minus the score of the runner-up
    runner_up: str = ""
    error: str = ""
    similarity: float = 0.0
    id: str = ""  # of the object, if the image is in the database


Classifications = Generator[Classification, None, None]  # close() it to stop early


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Some images in order, with their vectors. An image without a vector has an entry in `errors` and a zero row."""

    ids: Sequence[str]  # of the objects; "" for a file that is not in the database
    paths: Sequence[str]
    vectors_nd: Vectors  # (N, D) float32, unit rows; (N, 0) if vectors were not requested
    errors: Mapping[int, str] = field(default_factory=dict)  # by index in this batch

    def __len__(self) -> int:
        return len(self.paths)


class Scorer(Protocol):
    @property
    def cosines(self) -> bool:
        """Whether logits are the logit scale times a cosine. Otherwise they rank labels but are not a distance."""

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        """Return (N, L) float32 on the scale of the model's own logits: logit scale times cosine, plus any boost.

        `images_nd`: (N, D) unit rows. `ids`: of their objects, "" for files; a shot does not vote for itself.
        """


class Boost(Protocol):
    """Builds a better scorer from the labels' vectors: a few-shot cache, a linear probe, mean removal."""

    def scorer(
        self, labels: Sequence[str], labels_ld: Vectors, logit_scale: float, images: SearchableCollection | None
    ) -> Scorer:
        """`labels`: in the order of the rows of `labels_ld`, (L, D) float32 unit rows. `images`: the collection.

        Raises InputError.
        """


@dataclass(frozen=True, slots=True)
class CosineScorer:
    """Plain CLIP: the logit scale times the cosine."""

    labels_ld: Vectors
    logit_scale: float
    cosines: bool = True

    def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
        scaled: Vectors = np.float32(self.logit_scale) * (images_nd @ self.labels_ld.T)
        return scaled


@dataclass(frozen=True, slots=True)
class DecisionRule:
    """Chooses the label of every image of a run."""

    names: Sequence[str]
    labels_ld: Vectors
    logit_scale: float
    threshold: float | None = None  # least similarity of a label; an image below it is OTHER
    cosines: bool = True  # if not, similarity is the share of the best label: such logits are not a distance
    exact: bool = True  # whether logits are plain cosines, so that close ones can be computed again in float64
    logit_bias: float | None = None  # of a sigmoid model, with plain cosines; None: scores are shares

    def classify(
        self, batch: ImageBatch, logits_nl: Vectors, read_vectors: Callable[[Sequence[int]], Vectors]
    ) -> list[Classification]:
        """Return one result for each image of `batch`, in order.

        `read_vectors`: from indices of images to their vectors (n, D), for those that need float64.
        """
        valid = [index for index in range(len(batch)) if index not in batch.errors]
        most = max(1, LOGITS_AT_ONCE // max(1, logits_nl.shape[1]))
        parts = [valid[start : start + most] for start in range(0, len(valid), most)]
        results = chain.from_iterable(self._decide(batch, part, logits_nl, read_vectors) for part in parts)
        return [build_failure(batch, index) if index in batch.errors else next(results) for index in range(len(batch))]

    def _decide(
        self,
        batch: ImageBatch,
        part: Sequence[int],
        logits_nl: Vectors,
        read_vectors: Callable[[Sequence[int]], Vectors],
    ) -> list[Classification]:
        """Return the results of the images `part` of the batch."""
        logits = self._with_other(np.asarray(logits_nl[part], dtype=np.float64))
        if self.exact:
            close = find_close_rows(logits, self.logit_scale * ROUNDING)
            if close.size:
                vectors_nd = read_vectors([part[row] for row in close])
                for row, vector_d in zip(close, vectors_nd, strict=True):
                    if vector_d.any():  # an image that was removed in the meantime has none
                        self._compute_exactly(logits[row], vector_d)
        return self._build_results(batch, part, logits)

    def _with_other(self, logits_nl: ExactLogits) -> ExactLogits:
        """Add OTHER as one more label, whose similarity to every image is the threshold.

        If similarity is a share, OTHER weighs that part of all labels together: it wins if no share is larger.
        """
        if self.threshold is None:
            return logits_nl
        return np.column_stack([logits_nl, self._other_logits(logits_nl, self.threshold)])

    def _other_logits(self, logits_nl: ExactLogits, threshold: float) -> ExactLogits:
        if self.logit_bias is not None:
            return np.full(len(logits_nl), compute_logit(threshold) - self.logit_bias)
        if self.cosines:
            return np.full(len(logits_nl), threshold * self.logit_scale)
        total_n: ExactLogits = np.logaddexp.reduce(logits_nl, axis=1)
        return total_n + (np.log(threshold) if threshold > 0 else -np.inf)

    def _compute_exactly(self, logits_l: ExactLogits, vector_d: Vectors) -> None:
        """Replace the logits of the best two labels, and of all that are close to the second, by float64 values."""
        second = np.partition(logits_l, -2)[-2]
        near = np.flatnonzero(logits_l >= second - self.logit_scale * ROUNDING)
        near = near[near < len(self.labels_ld)]  # OTHER has no vector
        # A sum for each row, not a matrix product: equal rows give equal sums at every position.
        products = self.labels_ld[near].astype(np.float64) * vector_d.astype(np.float64)
        logits_l[near] = self.logit_scale * products.sum(axis=1)

    def _build_results(self, batch: ImageBatch, valid: Sequence[int], logits_nl: ExactLogits) -> list[Classification]:
        names = [*self.names, OTHER]
        rows = np.arange(len(valid))
        best = logits_nl.argmax(axis=1)  # the first of equal ones
        scores_nl = self._scores(logits_nl)
        rest = logits_nl.copy()
        rest[rows, best] = -np.inf
        second = rest.argmax(axis=1)
        similarities = self._similarities(logits_nl)
        scores, seconds = scores_nl[rows, best].tolist(), scores_nl[rows, second].tolist()
        return [
            Classification(
                batch.paths[index],
                names[best[row]],
                scores[row],
                scores[row] - seconds[row],
                names[second[row]],
                similarity=similarities[row],
                id=batch.ids[index],
            )
            for row, index in enumerate(valid)
        ]

    def _scores(self, logits_nl: ExactLogits) -> Probabilities:
        return softmax(logits_nl) if self.logit_bias is None else sigmoid(logits_nl + self.logit_bias)

    def _similarities(self, logits_nl: ExactLogits) -> list[float]:
        """Similarity of the best label, for each image; OTHER does not count."""
        labels_nl = logits_nl[:, : len(self.names)]
        if self.logit_bias is None and self.cosines:
            best = labels_nl.max(axis=1) / self.logit_scale
        else:
            best = self._scores(labels_nl).max(axis=1)
        similarities: list[float] = best.tolist()
        return similarities


def find_close_rows(logits_nl: ExactLogits, rounding: float) -> npt.NDArray[np.intp]:
    """Return the indices of rows whose first or second place float32 may have decided wrongly: (N, L) in."""
    third = min(3, logits_nl.shape[1])
    top = np.sort(np.partition(logits_nl, -third, axis=1)[:, -third:], axis=1)
    gaps = np.diff(top, axis=1)  # third to second, if there is a third; second to first
    return np.flatnonzero((gaps <= rounding).any(axis=1))


def build_failure(batch: ImageBatch, index: int) -> Classification:
    return Classification(batch.paths[index], error=batch.errors[index], id=batch.ids[index])


def softmax(logits_nl: npt.NDArray[np.floating]) -> Probabilities:
    """Return shares that add up to 1 in each row: (..., L) in, (..., L) float64 out (Radford et al. 2021, figure 3).

    >>> softmax(np.log([[1.0, 3.0]])).round(2).tolist()
    [[0.25, 0.75]]
    """
    logits = np.asarray(logits_nl, dtype=np.float64)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))  # minus the largest: no overflow at any scale
    shares: Probabilities = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(logits: npt.NDArray[np.floating]) -> Probabilities:
    """Return probabilities of the same shape, float64; small ones keep their digits.

    >>> sigmoid(np.log([1.0, 3.0])).tolist()
    [0.5, 0.75]
    """
    probabilities: Probabilities = np.exp(-np.logaddexp(0.0, -np.asarray(logits, dtype=np.float64)))
    return probabilities


def compute_logit(probability: float) -> float:
    """Return the number whose sigmoid is `probability`: minus or plus infinity for 0 or 1, and outside of them.

    >>> [compute_logit(each) for each in (0.0, 0.5, 1.0)]
    [-inf, 0.0, inf]
    """
    with np.errstate(divide="ignore"):
        inside = np.clip(probability, 0.0, 1.0)
        return float(np.log(inside) - np.log1p(-inside))
