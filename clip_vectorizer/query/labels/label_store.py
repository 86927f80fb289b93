"""Labels in the database: one object and one vector each, embedded once.

L labels · P prompts per label · D dimensions
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.collections import ensure_label_collection
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import (
    LABEL,
    LABEL_COLLECTION,
    LABEL_SET,
    MODEL,
    PROMPT_SET,
    PROMPT_VERSION,
    PROMPTS,
    VECTOR,
)
from clip_vectorizer.errors import Mismatch, VectorizerError
from clip_vectorizer.query.labels.label import Label
from clip_vectorizer.vectors import Vectors, ensemble

PROMPTS_PER_STEP = 256  # embedded and stored together, in whole labels: an interruption loses no more
SEARCHABLE_TIMEOUT_SECONDS = 30.0  # until a search finds a stored label; a server may index in the background
POLL_SECONDS = 0.2
VECTOR_PAGE_SIZE = 2000  # vectors fetched at once: 4 MB of 512 dimensions
DISTANCE_METADATA = MetadataQuery(distance=True)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Neighbour:
    id: str
    distance: float  # 1 - cosine


class LabelStore(Protocol):
    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        """Store all, or raise VectorizerError."""

    def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        """Return the stored vectors (D,) by id, of those labels that the store has."""

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        """Return those of `ids` that a search finds, nearest first."""


class PromptEncoder(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


def store_labels(
    labels: Sequence[Label],
    dimension: int,
    encoder: PromptEncoder,
    store: LabelStore,
    searchable_seconds: float = SEARCHABLE_TIMEOUT_SECONDS,
) -> Vectors:
    """Return the labels' vectors (L, D) as stored. Embeds and stores missing labels; waits until a search finds them.

    Raises VectorizerError if a search does not find them within `searchable_seconds`.
    """
    stored = dict(store.vectors([label.id for label in labels]))
    missing = [label for label in labels if label.id not in stored]
    done = 0
    for step in split_into_steps(missing):
        vectors_ld = compute_label_vectors(step, encoder)
        store.add(step, vectors_ld)
        stored |= {label.id: vector_d for label, vector_d in zip(step, vectors_ld, strict=True)}
        done += len(step)
        if len(step) < len(missing):  # a small set is done at once
            logger.info("%d of %d new labels embedded and stored", done, len(missing))
    if missing:
        wait_until_searchable(missing, dimension, store, searchable_seconds)
    return np.stack([stored[label.id] for label in labels])


def split_into_steps(labels: Sequence[Label]) -> list[list[Label]]:
    """Split into runs of labels with about PROMPTS_PER_STEP prompts each; a label is never split."""
    runs: list[list[Label]] = []
    room = 0
    for label in labels:
        if room < len(label.prompts):
            runs.append([])
            room = PROMPTS_PER_STEP
        runs[-1].append(label)
        room -= len(label.prompts)
    return runs


def compute_label_vectors(labels: Sequence[Label], encoder: PromptEncoder) -> Vectors:
    """Return (L, D) unit rows: the normalized mean of each label's prompts. Labels may differ in number of prompts."""
    vectors_nd = encoder.embed_texts([prompt for label in labels for prompt in label.prompts])
    ends = np.cumsum([len(label.prompts) for label in labels])[:-1]
    return np.stack([ensemble(prompts_pd) for prompts_pd in np.split(vectors_nd, ends)])


def wait_until_searchable(labels: Sequence[Label], dimension: int, store: LabelStore, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while missing := {label.id for label in labels} - find_searchable_ids(labels, dimension, store):
        if time.monotonic() >= deadline:
            raise VectorizerError(
                f"{len(missing)} of {len(labels)} labels cannot be found {seconds:g} s after they were "
                "stored; look at Weaviate's log, then run this again (labels already stored stay)"
            )
        time.sleep(POLL_SECONDS)


def find_searchable_ids(labels: Sequence[Label], dimension: int, store: LabelStore) -> set[str]:
    """Return the ids that a search over `labels` finds. Any query vector works: the search returns every label."""
    query_d: Vectors = np.eye(1, dimension, dtype=np.float32)[0]
    return {neighbour.id for neighbour in store.nearest(query_d, [label.id for label in labels])}


class WeaviateLabels:
    """A LabelStore in Weaviate: the collection of labels, or a collection of its own for another model."""

    def __init__(self, client: WeaviateClient, url: str, info: ModelInfo) -> None:
        self._client, self._url, self._info = client, url, info

    @cached_property
    def _collection(self) -> Any:
        """Created on first use, when the labels have been checked."""
        with weaviate_errors(self._url):
            return self._client.collections.use(choose_label_collection(self._client, self._info))

    def add(self, labels: Sequence[Label], vectors_ld: Vectors) -> None:
        rows = [self._row(label, vector_d) for label, vector_d in zip(labels, vectors_ld, strict=True)]
        with weaviate_errors(self._url):
            answer = self._collection.data.insert_many(rows)
        if answer.errors:
            first = next(iter(answer.errors.values())).message
            raise VectorizerError(f"Weaviate did not store {len(answer.errors)} of {len(rows)} labels: {first}")

    def _row(self, label: Label, vector_d: Vectors) -> DataObject[dict[str, Any], None]:
        properties = {
            LABEL: label.text,
            LABEL_SET: label.family,
            PROMPTS: list(label.prompts),
            MODEL: self._info.model,
            PROMPT_SET: label.prompt_set,
            PROMPT_VERSION: label.version,
        }
        return DataObject(properties=properties, uuid=label.id, vector={VECTOR: vector_d.tolist()})

    def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        found: dict[str, Vectors] = {}
        for start in range(0, len(ids), VECTOR_PAGE_SIZE):
            page = ids[start : start + VECTOR_PAGE_SIZE]
            with weaviate_errors(self._url):
                rows = self._collection.query.fetch_objects_by_ids(
                    page, limit=len(page), include_vector=[VECTOR], return_properties=False
                ).objects
            found |= {str(row.uuid): np.asarray(row.vector[VECTOR], np.float32) for row in rows if row.vector}
        return found

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        """Exact, not approximate: below 40,000 filtered objects Weaviate compares with every one of them."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_vector(
                vector_d.tolist(),
                limit=len(ids),
                filters=Filter.by_id().contains_any(list(ids)),
                target_vector=VECTOR,
                return_metadata=DISTANCE_METADATA,
                return_properties=False,
            )
        return [Neighbour(str(row.uuid), read_distance(row)) for row in found.objects]


def choose_label_collection(client: WeaviateClient, info: ModelInfo) -> str:
    """Return the name of the collection for this model, created if it is missing.

    Labels can always be embedded again, so a second model gets its own collection instead of an error.
    """
    try:
        ensure_label_collection(client, info)
    except Mismatch:
        own = f"{LABEL_COLLECTION}_{''.join(filter(str.isalnum, info.revision))[:12]}"
        ensure_label_collection(client, info, own)
        return own
    return LABEL_COLLECTION


def read_distance(row: Any) -> float:
    """Return the distance of a Weaviate object. Raises VectorizerError if it has none."""
    distance: float | None = row.metadata.distance
    if distance is None:
        raise VectorizerError(f"Weaviate gave no distance for {row.uuid}; is its version at least 1.39?")
    return distance
