"""Vectors of classes and captions: the average over the prompts of a set.

L texts · P prompts a text · D dimensions
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.prompts import DRAWING_MODELS, PROMPTS, fill_templates
from clip_vectorizer.vectors import Vectors, ensemble

PROMPTS_PER_STEP = 2048  # per line of progress: about a second of a small model
PROMPT_SET_PREFIX = {"en": "", "zh": "zh-"}


class TextEncoder(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


def list_prompt_sets(language: str, model: str) -> list[str]:
    """Return the prompt sets for a language and model: the bare word, one template, seven, and eighty if it exists."""
    manner = "drawing" if model in DRAWING_MODELS else "photo"
    names = ["word", *(PROMPT_SET_PREFIX[language] + name for name in (manner, f"{manner}-7", "photo-80"))]
    return [name for name in names if name in PROMPTS]


def embed_prompt_ensembles(texts: Sequence[str], prompts: str, encoder: TextEncoder, progress: Progress) -> Vectors:
    """Return (L, D) unit rows: the average over the prompt set `prompts`, as in zero-shot classification."""
    templates = PROMPTS[prompts]
    step = max(1, PROMPTS_PER_STEP // len(templates))
    parts: list[Vectors] = []
    for start in range(0, len(texts), step):
        part = texts[start : start + step]
        vectors_nd = encoder.embed_texts([prompt for text in part for prompt in fill_templates(templates, text)])
        parts.append(ensemble(vectors_nd.reshape(len(part), len(templates), -1)))
        if len(texts) > step:
            progress(f"{start + len(part)} of {len(texts)} texts embedded in the {len(templates)} prompts of {prompts}")
    return np.concatenate(parts)
