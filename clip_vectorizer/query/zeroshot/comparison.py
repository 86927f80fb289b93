"""Three ways of comparing images with labels. All give the same logits, up to float32's rounding.

images: nearVector for each image, among the labels · labels: nearVector for each label, among the images ·
matmul: the vectors are read, and multiplied here. N images · L labels · D dimensions

Which way of comparing is the fastest for so many images and labels: a cost model in seconds.

Its figures are those of benchmarks/zeroshot on two cores with Weaviate on the same machine. Another machine's are
larger or smaller together, so the choice stays; and all ways give the same labels.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.labels.label import Label
from clip_vectorizer.query.labels.label_store import LabelStore
from clip_vectorizer.query.zeroshot.results import ImageBatch
from clip_vectorizer.query.zeroshot.scores import Scorer
from clip_vectorizer.query.zeroshot.sources import CollectionReader
from clip_vectorizer.vectors import Vectors

IMAGES, LABELS, MATMUL, AUTO = "images", "labels", "matmul", "auto"
STRATEGIES = (AUTO, IMAGES, LABELS, MATMUL)


class ComparisonStrategy(Protocol):
    @property
    def reads_vectors(self) -> bool:
        """Whether blocks must have the images' vectors."""

    def logits(self, block: ImageBatch) -> Vectors:
        """(N, L) float32; the rows of images with errors mean nothing, NaN in another means that it has no vector.

        Raises VectorizerError, Unreachable.
        """


@dataclass(frozen=True, slots=True)
class MatrixProduct:
    scorer: Scorer
    reads_vectors: bool = True

    def logits(self, block: ImageBatch) -> Vectors:
        return self.scorer.logits(block.vectors_nd, block.ids)


@dataclass(frozen=True, slots=True)
class QueryPerImage:
    store: LabelStore
    labels: Sequence[Label]
    logit_scale: float
    pool: Executor
    reads_vectors: bool = True

    def logits(self, block: ImageBatch) -> Vectors:
        """Raises VectorizerError when a search no longer finds all labels."""
        ids = [label.id for label in self.labels]
        rows = self.pool.map(lambda vector_d: self._similarities(vector_d, ids), self._vectors(block))
        found = iter(list(rows))
        nothing = np.zeros(len(ids), dtype=np.float32)
        similarities = [nothing if index in block.errors else next(found) for index in range(len(block))]
        return np.stack(similarities) * np.float32(self.logit_scale)

    def _vectors(self, block: ImageBatch) -> list[Vectors]:
        return [vector_d for index, vector_d in enumerate(block.vectors_nd) if index not in block.errors]

    def _similarities(self, vector_d: Vectors, ids: Sequence[str]) -> Vectors:
        distances = {each.id: each.distance for each in self.store.nearest(vector_d, ids)}
        if missing := [id for id in ids if id not in distances]:
            raise VectorizerError(
                f"a search finds {len(distances)} of {len(ids)} labels; {missing[0]} left the database meanwhile, or "
                "its index has lost it: run this again, or take strategy='matmul', which needs no index"
            )
        return np.array([1 - distances[id] for id in ids], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class QueryPerLabel:
    collected: CollectionReader
    labels_ld: Vectors
    logit_scale: float
    pool: Executor
    reads_vectors: bool = False

    def logits(self, block: ImageBatch) -> Vectors:
        """Images that are stored and that a search does not find, as a killed server may leave them, are read."""
        place = {id: index for index, id in enumerate(block.ids)}
        similarities_nl = np.full((len(block), len(self.labels_ld)), np.nan, dtype=np.float32)
        answers = self.pool.map(lambda vector_d: self.collected.distances(vector_d, block.ids), self.labels_ld)
        for column, distances in enumerate(answers):
            rows = [place[id] for id in distances]
            similarities_nl[rows, column] = 1 - np.fromiter(distances.values(), dtype=np.float64, count=len(rows))
        self._fill_gaps(block, place, similarities_nl)
        return similarities_nl * np.float32(self.logit_scale)

    def _fill_gaps(self, block: ImageBatch, place: Mapping[str, int], similarities_nl: Vectors) -> None:
        gaps = np.flatnonzero(np.isnan(similarities_nl).any(axis=1)).tolist()
        if gaps:
            read = self.collected.fetch([block.ids[gap] for gap in gaps])
            for row, id in enumerate(read.ids):
                if row not in read.errors:
                    similarities_nl[place[id]] = self.labels_ld @ read.vectors_nd[row]


@dataclass(frozen=True, slots=True)
class StrategyCosts:
    """Seconds."""

    query: float = 0.9e-3  # one nearVector, whatever it finds
    row: float = 17e-6  # each id and distance that it answers
    path: float = 115e-6  # reading one image without its vector
    number: float = 0.07e-6  # of a vector, on its way here


def estimate_seconds(
    images: int, labels: int, dimension: int, in_files: bool, costs: StrategyCosts | None = None
) -> dict[str, float]:
    """What each strategy would take, by name. `in_files`: the images' vectors come from the sidecar in any case."""
    costs = costs or StrategyCosts()
    read = 0.0 if in_files else images * (costs.path + dimension * costs.number)
    by_image = {MATMUL: read, IMAGES: read + images * (costs.query + labels * costs.row)}
    if in_files:
        return by_image
    return by_image | {LABELS: images * costs.path + labels * (costs.query + images * costs.row)}


def choose_fastest(images: int, labels: int, dimension: int, in_files: bool) -> str:
    """The matrix product, but for two or three labels and long vectors, which are then better left where they are."""
    costs = estimate_seconds(images, labels, dimension, in_files)
    return min(costs, key=lambda name: costs[name])
