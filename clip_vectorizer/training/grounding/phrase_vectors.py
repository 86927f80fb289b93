"""Vectors of noun phrases for every concept, computed once by the frozen text tower.

V variants of a phrase · N concepts · D dimensions
"""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.grounding.captions import Thing, name_things
from clip_vectorizer.training.knowledge import LANGUAGES
from clip_vectorizer.training.templates import TEMPLATES
from clip_vectorizer.vectors import Vectors

TEXTS_PER_PASS = 256
CAPTION_VARIANT = 1  # of `encode_variants`


class PhraseVectors:
    """`variants`: by language, (V, N, D) unit rows."""

    def __init__(self, variants: dict[str, Tensor]) -> None:
        self._variants = variants
        self.concepts = next(iter(variants.values())).shape[1]

    def draw(self, concepts: Sequence[int], rng: random.Random) -> Tensor:
        """Return (len(concepts), D): a random phrase for each, in a random language."""
        variants = (self._variants[rng.choice(LANGUAGES)] for _ in concepts)
        return torch.stack(
            [each[rng.randrange(len(each)), concept] for each, concept in zip(variants, concepts, strict=True)]
        )

    def draw_all(self, rng: random.Random) -> Tensor:
        """Return (N, D): the same kind of phrase for all concepts."""
        return rng.choice(self._variants[rng.choice(LANGUAGES)])

    def caption_names(self, language: str) -> Vectors:
        """Return (N, D): each concept's name as a caption has it, "a red apple"."""
        return self._variants[language][CAPTION_VARIANT].numpy()

    @classmethod
    def load(cls, file: Path, encoder: Encoder, concepts: Sequence[Concept]) -> "PhraseVectors":
        """Return the vectors in `file`, computed unless they are there."""
        if not file.exists():
            english, chinese = (encode_variants(encoder, concepts, language) for language in LANGUAGES)
            np.savez(file, en=english, zh=chinese)
        with np.load(file, allow_pickle=False) as stored:
            return cls({language: torch.from_numpy(stored[language]) for language in LANGUAGES})


def encode_variants(encoder: Encoder, concepts: Sequence[Concept], language: str) -> Vectors:
    """Return (V, N, D) of the bare names, names as a caption has them, and names in all prompts."""
    names = [getattr(item, f"name_{language}") for item in concepts]
    variants = [names, [name_things(Thing(name, 1), language) for name in names]]
    variants += [[template.format(name) for name in names] for template in TEMPLATES[language]]
    return np.stack([encode_in_passes(encoder, texts) for texts in variants])


def encode_in_passes(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Return (len(texts), D) unit rows."""
    passes = (texts[start : start + TEXTS_PER_PASS] for start in range(0, len(texts), TEXTS_PER_PASS))
    return np.concatenate([encoder.encode_texts([encoder.prepare_text(text) for text in each]) for each in passes])
