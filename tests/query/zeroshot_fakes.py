"""Stores of classification without a database; fakes.py has the vectors."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.labels.label_sets import LabelSet, merge_parts
from clip_vectorizer.query.zeroshot.classify import ClassificationStores
from clip_vectorizer.query.zeroshot.scores import Classification, ImageBatch
from clip_vectorizer.query.zeroshot.sources import build_batch
from clip_vectorizer.vectors import Vectors
from tests.query.fakes import COLOURS, FakeLabels, vector_of


@dataclass
class FakeSets:
    """A LabelSetStore."""

    parts: list[LabelSet] = field(default_factory=list)

    def get(self, name: str) -> LabelSet | None:
        return merge_parts([part for part in self.parts if part.name == name])

    def names(self) -> list[str]:
        return list({part.name: part for part in self.parts})

    def put(self, part: LabelSet) -> None:
        self.parts.append(part)


@dataclass
class FakeCollectionReader:
    """A CollectionReader: path and vector by id, None for no vector. Searches do not find `unindexed` ids."""

    rows: dict[str, tuple[str, Vectors | None]] = field(default_factory=dict)
    unindexed: Collection[str] = ()
    read: list[bool] = field(default_factory=list)  # whether each fetch requested vectors

    def check(self, filters: FilterInput) -> None:
        pass

    def count(self, filters: FilterInput) -> int:
        return len(self.rows)

    def ids(self, filters: FilterInput, limit: int | None = None) -> Iterator[list[str]]:
        yield list(self.rows)

    def fetch(self, ids: Sequence[str], filters: FilterInput = None, vectors: bool = True) -> ImageBatch:
        self.read.append(vectors)
        present = [id for id in ids if id in self.rows]
        paths = [self.rows[id][0] for id in present]
        if not vectors:
            return ImageBatch(present, paths, np.zeros((len(present), 0), dtype=np.float32))
        return build_batch(present, paths, [self.rows[id][1] for id in present])

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> dict[str, float]:
        found = {id: self.rows[id][1] for id in ids if id in self.rows and id not in self.unindexed}
        return {id: 1 - float(stored @ vector_d) for id, stored in found.items() if stored is not None}


@dataclass
class FakePredictions:
    """A PredictionStore that rejects the ids in `rejects`."""

    rows: dict[str, tuple[Classification, str]] = field(default_factory=dict)
    rejects: Collection[str] = ()
    prepared: int = 0

    def prepare(self) -> None:
        self.prepared += 1

    def write(self, results: Sequence[Classification], predicted_by: str) -> dict[str, str]:
        self.rows |= {each.id: (each, predicted_by) for each in results if each.id not in self.rejects}
        return {each.id: "no" for each in results if each.id in self.rejects}


def stores() -> ClassificationStores:
    """Stores of a database with the colours, and one image that lost its vector."""
    rows: dict[str, tuple[str, Vectors | None]] = {f"id-{name}": (f"{name}.png", vector_of(name)) for name in COLOURS}
    return ClassificationStores(
        FakeLabels(), FakeSets(), FakeCollectionReader(rows | {"id-lost": ("lost.png", None)}), FakePredictions()
    )
