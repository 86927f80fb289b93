"""Labels in the database: one vector each, embedded once. L labels · P prompts a label · D dimensions"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.labels.label import Label
from clip_vectorizer.vectors import Vectors, ensemble

logger = logging.getLogger(__name__)

PROMPTS_A_STEP = 256  # embedded and stored together, whole labels: what an interruption loses at most
SEARCHABLE_SECONDS = 30.0  # longest a stored label may take to be found, where a server indexes in the background
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Neighbour:
    id: str
    distance: float  # 1 - cosine


class LabelStore(Protocol):
    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        """Stores all or raises VectorizerError."""

    def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        """(D,) as stored, by id, of those that the store holds."""

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        """Those of `ids` that a search finds, nearest first."""


class TextEncoder(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


def store_labels(
    labels: Sequence[Label],
    dimension: int,
    encoder: TextEncoder,
    store: LabelStore,
    searchable_seconds: float = SEARCHABLE_SECONDS,
) -> Vectors:
    """The labels' vectors (L, D) as the database has them; on return a search finds all that were new.

    Only those that the store lacked were embedded. Raises VectorizerError when some cannot be found in the end.
    """
    held = dict(store.vectors([label.id for label in labels]))
    missing = [label for label in labels if label.id not in held]
    done = 0
    for step in steps(missing):
        vectors_ld = label_vectors(step, encoder)
        store.add(step, vectors_ld)
        held |= {label.id: vector_d for label, vector_d in zip(step, vectors_ld, strict=True)}
        done += len(step)
        if len(step) < len(missing):  # a small set is done before anybody wonders
            logger.info("%d of %d new labels embedded and stored", done, len(missing))
    if missing:
        wait_until_searchable(missing, dimension, store, searchable_seconds)
    return np.stack([held[label.id] for label in labels])


def steps(labels: Sequence[Label]) -> list[list[Label]]:
    """Runs of labels with some 256 prompts each; a label is never cut."""
    cut: list[list[Label]] = []
    room = 0
    for label in labels:
        if room < len(label.prompts):
            cut.append([])
            room = PROMPTS_A_STEP
        cut[-1].append(label)
        room -= len(label.prompts)
    return cut


def label_vectors(labels: Sequence[Label], encoder: TextEncoder) -> Vectors:
    """(L, D) unit rows: the mean of each label's prompts, unit again. Labels may have different numbers of prompts."""
    vectors_nd = encoder.embed_texts([prompt for label in labels for prompt in label.prompts])
    ends = np.cumsum([len(label.prompts) for label in labels])[:-1]
    return np.stack([ensemble(prompts_pd) for prompts_pd in np.split(vectors_nd, ends)])


def found_ids(labels: Sequence[Label], dimension: int, store: LabelStore) -> set[str]:
    """What a search over `labels` finds. Any direction will do: the answer is every label there is."""
    anywhere: Vectors = np.eye(1, dimension, dtype=np.float32)[0]
    return {neighbour.id for neighbour in store.nearest(anywhere, [label.id for label in labels])}


def wait_until_searchable(labels: Sequence[Label], dimension: int, store: LabelStore, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while missing := {label.id for label in labels} - found_ids(labels, dimension, store):
        if time.monotonic() >= deadline:
            raise VectorizerError(
                f"{len(missing)} of {len(labels)} labels cannot be found {seconds:g} s after they were "
                "stored; look at Weaviate's log, then run this again (labels already stored stay)"
            )
        time.sleep(POLL_SECONDS)
