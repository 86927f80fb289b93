"""What classification keeps in a database, without one: see fakes.py for the vectors."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.labels.label_sets import LabelSet, merge_parts
from clip_vectorizer.query.zeroshot import Classification, ImageBatch
from clip_vectorizer.query.zeroshot.classify import ClassificationStores
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
class FakeCollected:
    """Stored images by id: path and vector, or None for one that was stored without. `deaf` ids no search finds."""

    rows: dict[str, tuple[str, Vectors | None]] = field(default_factory=dict)
    deaf: Collection[str] = ()
    read: list[bool] = field(default_factory=list)  # for each fetch whether vectors were asked for

    def check(self, where: FilterInput) -> None:
        pass

    def count(self, where: FilterInput) -> int:
        return len(self.rows)

    def ids(self, where: FilterInput, most: int | None = None) -> Iterator[list[str]]:
        yield list(self.rows)

    def fetch(self, ids: Sequence[str], where: FilterInput = None, vectors: bool = True) -> ImageBatch:
        self.read.append(vectors)
        there = [id for id in ids if id in self.rows]
        paths = [self.rows[id][0] for id in there]
        if not vectors:
            return ImageBatch(there, paths, np.zeros((len(there), 0), dtype=np.float32))
        return build_batch(there, paths, [self.rows[id][1] for id in there])

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> dict[str, float]:
        found = {id: self.rows[id][1] for id in ids if id in self.rows and id not in self.deaf}
        return {id: 1 - float(stored @ vector_d) for id, stored in found.items() if stored is not None}


@dataclass
class FakePredictions:
    """Takes what it is given, but for the ids in `refuses`."""

    rows: dict[str, tuple[Classification, str]] = field(default_factory=dict)
    refuses: Collection[str] = ()
    prepared: int = 0

    def prepare(self) -> None:
        self.prepared += 1

    def write(self, results: Sequence[Classification], by: str) -> dict[str, str]:
        self.rows |= {each.id: (each, by) for each in results if each.id not in self.refuses}
        return {each.id: "no" for each in results if each.id in self.refuses}


def shelf() -> ClassificationStores:
    """Of a database that holds the colours, and one image that lost its vector."""
    rows: dict[str, tuple[str, Vectors | None]] = {f"id-{name}": (f"{name}.png", vector_of(name)) for name in COLOURS}
    return ClassificationStores(
        FakeLabels(), FakeSets(), FakeCollected(rows | {"id-lost": ("lost.png", None)}), FakePredictions()
    )
