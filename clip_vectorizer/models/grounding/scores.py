"""Scores of regions in numpy: probabilities, logits, contrast.

N regions · D dimensions
"""

import numpy as np

from clip_vectorizer.boxes import ScoreArray
from clip_vectorizer.vectors import Vectors, unit

LEAST_PROBABILITY = 1e-6  # so that its logit is a number


def compute_logits(probabilities: ScoreArray) -> ScoreArray:
    """Return log(p / (1 - p)), finite.

    >>> compute_logits(np.array([0.5, 0.0], np.float32))
    array([  0.     , -13.81551], dtype=float32)
    """
    some = probabilities.astype(np.float64).clip(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    logits: ScoreArray = np.log(some / (1 - some)).astype(np.float32)
    return logits


def measure_contrast(vectors_nd: Vectors) -> ScoreArray:
    """(N,), 0..1: how unlike each vector is to the mean of all, half the distance of their cosine.

    What fills a picture is its ground. A CLIP alone has no better measure of whether a tile holds one whole thing.
    """
    return ((1 - vectors_nd @ unit(vectors_nd.mean(axis=0))) / 2).clip(0, 1).astype(np.float32)
