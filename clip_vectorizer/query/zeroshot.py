"""Zero-shot classification through the database: nearVector among a set of labels, softmax over all of them.

N images · L labels · D dimensions
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.labels import Label, LabelStore, Neighbour
from clip_vectorizer.vectors import Vectors

PARALLEL_QUERIES = 4  # more only queue up in Weaviate on a small machine
IMAGES_A_BATCH = 32  # embedded by one request; also how many results wait for each other


@dataclass(frozen=True, slots=True)
class Embedded:
    """An image on its way: its vector (D,), or why it has none."""

    path: str
    vector: Vectors | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Classification:
    """What one image shows. With `error` nothing could be said: the other fields but `path` are empty or 0."""

    path: str
    label: str = ""
    score: float = 0.0  # 0..1, softmax over all labels
    margin: float = 0.0  # score less the runner-up's
    runner_up: str = ""
    error: str = ""


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
    scores = softmax(np.array([1 - neighbour.distance for neighbour in neighbours]), logit_scale)
    best, second = neighbours[0], neighbours[1]
    return Classification(path, names[best.id], scores[0], scores[0] - scores[1], names[second.id])


def softmax(similarities: np.ndarray[tuple[int], np.dtype[np.float64]], logit_scale: float) -> list[float]:
    """Shares that add up to 1: exp(scale * cosine), normalised (Radford et al. 2021, figure 3)."""
    logits = logit_scale * similarities
    weights = np.exp(logits - logits.max())  # less the largest: exp(100) would be fine, a larger scale might not
    shares: list[float] = (weights / weights.sum()).tolist()
    return shares
