"""nearVector for each image among a set of labels: one query an image.

N images · L labels · D dimensions
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.labels import Label, LabelStore, Neighbour
from clip_vectorizer.query.zeroshot.results import Classification, Embedded
from clip_vectorizer.query.zeroshot.scoring import softmax

PARALLEL_QUERIES = 4  # more only queue up in Weaviate on a small machine


def classified(
    batches: Iterable[Sequence[Embedded]], labels: Sequence[Label], store: LabelStore, logit_scale: float
) -> Iterator[Classification]:
    """One classification an image, in their order. Each image is one query among exactly `labels`.

    Raises VectorizerError when the store no longer holds all labels.
    """
    names = {label.id: label.text for label in labels}

    def answer(image: Embedded) -> Classification:
        if image.vector is None:
            return Classification(image.path, error=image.error)
        return best_label(image.path, store.nearest(image.vector, names), names, logit_scale)

    with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
        for batch in batches:
            yield from pool.map(answer, batch)


def best_label(path: str, neighbours: Sequence[Neighbour], names: dict[str, str], logit_scale: float) -> Classification:
    if len(neighbours) != len(names):
        raise VectorizerError(
            f"{len(names) - len(neighbours)} of {len(names)} labels left the database while {path} was classified; "
            "run this again"
        )
    scores = softmax(logit_scale * np.array([1 - neighbour.distance for neighbour in neighbours])).tolist()
    best, second = neighbours[0], neighbours[1]
    return Classification(
        path, names[best.id], scores[0], scores[0] - scores[1], names[second.id], similarity=1 - best.distance
    )
