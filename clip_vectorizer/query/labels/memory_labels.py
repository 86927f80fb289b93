"""Labels in memory alone, for a classification that leaves nothing in the database.

L labels · D dimensions
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from clip_vectorizer.query.labels.label_store import Label, Neighbour
from clip_vectorizer.vectors import Vectors


class MemoryLabels:
    """A LabelStore that ends with the run.

    >>> MemoryLabels().vectors(["an id"])
    {}
    """

    def __init__(self) -> None:
        self._kept: dict[str, Vectors] = {}

    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        self._kept |= {label.id: vector_d for label, vector_d in zip(labels, vectors_ld, strict=True)}

    def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        return {id: self._kept[id] for id in ids if id in self._kept}

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        """`vector_d`: of length 1, as all vectors here."""
        distances = {id: 1 - float(np.dot(kept, vector_d)) for id, kept in self.vectors(list(ids)).items()}
        return [Neighbour(id, distances[id]) for id in sorted(distances, key=distances.__getitem__)]
