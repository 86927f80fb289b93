"""Per-modality mean removal: images and texts of a CLIP lie in two narrow cones; each is moved to the origin.

    image' = unit(image - mean of images)    text' = unit(text - mean of texts)

What all texts share says nothing about any of them, and what all images share favours the label it happens to lie
near (Liang et al. 2022 describe the gap). It helps where the prompts have much in common, such as templates that the
model did not learn with; where it learned with the very prompts, it changes nothing that can be told from chance
(benchmarks/adapting.py). N vectors · D dimensions
"""

from collections.abc import Iterable

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.vectors import Vectors, unit

ENOUGH = 10_000  # images: the mean of more is the same


def remove(vectors_nd: Vectors, mean_d: Vectors) -> Vectors:
    """(N, D) unit rows in and out. A vector that equals the mean stays zero: nothing is known of it."""
    return unit(vectors_nd - mean_d)


def mean_of(parts: Iterable[Vectors]) -> Vectors:
    """(D,) float32, of the rows of all parts, (N, D) each; reading ends at ENOUGH. Raises InputError below two rows."""
    total, count = np.zeros(1), 0
    for part_nd in parts:
        total = total + part_nd.sum(axis=0, dtype=np.float64)
        count += len(part_nd)
        if count >= ENOUGH:
            break
    if count < 2:
        raise InputError(f"the mean of {count} vectors says nothing; mean removal needs at least two images stored")
    mean: Vectors = (total / count).astype(np.float32)
    return mean
