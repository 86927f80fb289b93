"""Three strategies that compare images with labels, and a cost model that chooses the fastest.

images: one nearVector per image, among the labels · labels: one nearVector per label, among the images ·
matmul: the vectors are read and multiplied here. All give the same logits, up to float32's rounding.

The costs were measured by benchmarks/zeroshot on two cores with Weaviate on the same machine. On another machine all
are larger or smaller together, so the choice stays the same. N images · L labels · D dimensions
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.choices import IMAGES, LABELS, MATMUL
from clip_vectorizer.query.labels.label_store import Label, LabelStore
from clip_vectorizer.query.zeroshot.scores import ImageBatch, Scorer
from clip_vectorizer.query.zeroshot.sources import CollectionReader
from clip_vectorizer.vectors import Vectors


class ComparisonStrategy(Protocol):
    @property
    def reads_vectors(self) -> bool:
        """Whether batches need the images' vectors."""

    def logits(self, batch: ImageBatch) -> Vectors:
        """Return (N, L) float32. Rows of images with errors are undefined; NaN in other rows: image without a vector.

        Raises VectorizerError, Unreachable.
        """


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    scorer: Scorer
    reads_vectors: bool = True

    def logits(self, batch: ImageBatch) -> Vectors:
        return self.scorer.logits(batch.vectors_nd, batch.ids)


@dataclass(frozen=True, slots=True)
class QueryPerImage:
    store: LabelStore
    labels: Sequence[Label]
    logit_scale: float
    pool: Executor
    reads_vectors: bool = True

    def logits(self, batch: ImageBatch) -> Vectors:
        """Raises VectorizerError if a search does not find all labels."""
        ids = [label.id for label in self.labels]
        rows = self.pool.map(lambda vector_d: self._similarities(vector_d, ids), self._vectors(batch))
        computed = iter(list(rows))
        zeros = np.zeros(len(ids), dtype=np.float32)
        similarities = [zeros if index in batch.errors else next(computed) for index in range(len(batch))]
        return np.stack(similarities) * np.float32(self.logit_scale)

    def _vectors(self, batch: ImageBatch) -> list[Vectors]:
        return [vector_d for index, vector_d in enumerate(batch.vectors_nd) if index not in batch.errors]

    def _similarities(self, vector_d: Vectors, ids: Sequence[str]) -> Vectors:
        distances = {each.id: each.distance for each in self.store.nearest(vector_d, ids)}
        if missing := [id for id in ids if id not in distances]:
            raise VectorizerError(
                f"a search finds {len(distances)} of {len(ids)} labels; {missing[0]} was removed in the meantime, or "
                "its index has lost it: run this again, or use strategy='matmul', which needs no index"
            )
        return np.array([1 - distances[id] for id in ids], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class QueryPerLabel:
    collection: CollectionReader
    labels_ld: Vectors
    logit_scale: float
    pool: Executor
    reads_vectors: bool = False

    def logits(self, batch: ImageBatch) -> Vectors:
        """Stored images that a search does not find, as a killed server may leave them, are read and multiplied."""
        row_by_id = {id: row for row, id in enumerate(batch.ids)}
        similarities_nl = np.full((len(batch), len(self.labels_ld)), np.nan, dtype=np.float32)
        answers = self.pool.map(lambda vector_d: self.collection.distances(vector_d, batch.ids), self.labels_ld)
        for column, distances in enumerate(answers):
            rows = [row_by_id[id] for id in distances]
            similarities_nl[rows, column] = 1 - np.fromiter(distances.values(), dtype=np.float64, count=len(rows))
        self._fill_gaps(batch, row_by_id, similarities_nl)
        return similarities_nl * np.float32(self.logit_scale)

    def _fill_gaps(self, batch: ImageBatch, row_by_id: Mapping[str, int], similarities_nl: Vectors) -> None:
        gaps = np.flatnonzero(np.isnan(similarities_nl).any(axis=1)).tolist()
        if gaps:
            read = self.collection.fetch([batch.ids[gap] for gap in gaps])
            for row, id in enumerate(read.ids):
                if row not in read.errors:
                    similarities_nl[row_by_id[id]] = self.labels_ld @ read.vectors_nd[row]


@dataclass(frozen=True, slots=True)
class StrategyCosts:
    """Seconds."""

    query: float = 0.9e-3  # one nearVector, without its results
    row: float = 17e-6  # each id and distance in its results
    path: float = 115e-6  # reading one image without its vector
    number: float = 0.07e-6  # transfer of one number of a vector


def choose_fastest(images: int, labels: int, dimension: int, in_files: bool) -> str:
    """Return the matrix product, except for two or three labels with long vectors, which cost more to transfer.

    >>> choose_fastest(10_000, 1000, 512, in_files=False)
    'matmul'
    """
    costs = estimate_seconds(images, labels, dimension, in_files)
    return min(costs, key=lambda name: costs[name])


def estimate_seconds(
    images: int, labels: int, dimension: int, in_files: bool, costs: StrategyCosts | None = None
) -> dict[str, float]:
    """Return the estimated seconds of each strategy. `in_files`: the vectors come from the sidecar in any case."""
    costs = costs or StrategyCosts()
    read = 0.0 if in_files else images * (costs.path + dimension * costs.number)
    by_image = {MATMUL: read, IMAGES: read + images * (costs.query + labels * costs.row)}
    if in_files:
        return by_image
    return by_image | {LABELS: images * costs.path + labels * (costs.query + images * costs.row)}
