"""Vectors of texts without a model: texts that share words are near."""

import re
import zlib
from collections.abc import Sequence

import numpy as np

from clip_vectorizer.training.sentence_vectors import DIMENSION, HalfVectors


def compute_word_vectors(texts: Sequence[str]) -> HalfVectors:
    """Return (N, E) unit rows: the sum of one random vector a word; Chinese characters are words."""
    return np.stack([embed_text(text) for text in texts]).astype(np.float16)


def embed_text(text: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    words = re.findall(r"[a-z]+|[^\W\da-z]", text.lower()) or [text]
    total = sum((embed_word(word) for word in words), np.zeros(DIMENSION))
    return total / np.linalg.norm(total)


def embed_word(word: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIMENSION)
