"""Label sets: checked, turned into one vector a label, and kept in the database so that they are embedded once.

L labels · P prompts a label · D dimensions
"""

import json
import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from weaviate.util import generate_uuid5

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.prompts import checked_templates, default_templates, fill, plain
from clip_vectorizer.schema import LABEL_COLLECTION
from clip_vectorizer.vectors import Vectors, ensemble

logger = logging.getLogger(__name__)

MAX_LABELS = 10_000  # Weaviate's QUERY_MAXIMUM_RESULTS: a softmax needs the distance of every label
LABELS_A_STEP = 32  # embedded and stored together: what an interruption loses at most
SEARCHABLE_SECONDS = 30.0  # longest a stored label may take to be found, where a server indexes in the background
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Label:
    """One label and all that its vector depends on. `id` is the same in every run with the same model and prompts."""

    text: str
    prompts: tuple[str, ...]
    family: str  # digest of model and templates: labels of one family share a meaning of distance
    id: str


@dataclass(frozen=True, slots=True)
class Neighbour:
    id: str
    distance: float  # 1 - cosine


class LabelStore(Protocol):
    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        """Stores all or raises VectorizerError."""

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        """Those of `ids` that the store holds, nearest first."""


class TextEncoder(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


def label_set(texts: Sequence[str], templates: Sequence[str] | None, info: ModelInfo) -> list[Label]:
    """The labels in the order given. `templates` None: a set that suits each label's language and the model.

    Raises InputError for labels or templates that cannot be used.
    """
    checked = None if templates is None else checked_templates(templates)
    return [
        identified_label(text, checked or default_templates(text, info.model), info) for text in checked_labels(texts)
    ]


def store_labels(
    labels: Sequence[Label],
    dimension: int,
    encoder: TextEncoder,
    store: LabelStore,
    searchable_seconds: float = SEARCHABLE_SECONDS,
) -> None:
    """On return `store` holds all labels and a search finds them. Only those that it lacked were embedded.

    Raises VectorizerError when some cannot be found in the end.
    """
    held = held_ids(labels, dimension, store)
    missing = [label for label in labels if label.id not in held]
    for start in range(0, len(missing), LABELS_A_STEP):
        step = missing[start : start + LABELS_A_STEP]
        store.add(step, label_vectors(step, encoder))
        if len(missing) > LABELS_A_STEP:  # a small set is done before anybody wonders
            logger.info("%d of %d new labels embedded and stored", start + len(step), len(missing))
    if missing:
        wait_until_searchable(labels, dimension, store, searchable_seconds)


def checked_labels(texts: Sequence[str]) -> list[str]:
    """The labels without white space around them. Raises InputError: too few, too many, empty, twice, not text."""
    labels = [plain(text) for text in texts]
    if "" in labels:
        raise InputError(f"label {labels.index('') + 1} of {len(labels)} is empty; remove it, or give it a name")
    first: dict[str, str] = {}
    for label in labels:
        if (twin := first.get(label.casefold())) is not None:  # models read upper and lower case alike
            raise InputError(f"the label {label!r} is given twice (first as {twin!r}); each may stand once")
        first[label.casefold()] = label
    if len(labels) < 2:
        given = "no labels" if not labels else "one label"
        raise InputError(f"{given} given; classification chooses between labels: give at least two")
    if len(labels) > MAX_LABELS:
        raise InputError(f"{len(labels)} labels given; at most {MAX_LABELS} can compete (Weaviate's result limit)")
    return labels


def identified_label(text: str, templates: tuple[str, ...], info: ModelInfo) -> Label:
    family = str(generate_uuid5(json.dumps([info.revision, *sorted(set(templates))]), LABEL_COLLECTION))
    return Label(text, fill(templates, text), family, str(generate_uuid5(text, family)))


def label_vectors(labels: Sequence[Label], encoder: TextEncoder) -> Vectors:
    """(L, D) unit rows: the mean of each label's prompts, unit again. Labels may have different numbers of prompts."""
    vectors_nd = encoder.embed_texts([prompt for label in labels for prompt in label.prompts])
    ends = np.cumsum([len(label.prompts) for label in labels])[:-1]
    return np.stack([ensemble(prompts_pd) for prompts_pd in np.split(vectors_nd, ends)])


def held_ids(labels: Sequence[Label], dimension: int, store: LabelStore) -> set[str]:
    """What a search over `labels` finds. Any direction will do: the answer is every label there is."""
    anywhere: Vectors = np.eye(1, dimension, dtype=np.float32)[0]
    return {neighbour.id for neighbour in store.nearest(anywhere, [label.id for label in labels])}


def wait_until_searchable(labels: Sequence[Label], dimension: int, store: LabelStore, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while missing := {label.id for label in labels} - held_ids(labels, dimension, store):
        if time.monotonic() >= deadline:
            raise VectorizerError(
                f"{len(missing)} of {len(labels)} labels cannot be found {seconds:g} s after they were "
                "stored; look at Weaviate's log, then run this again (labels already stored stay)"
            )
        time.sleep(POLL_SECONDS)
