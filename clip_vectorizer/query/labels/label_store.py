"""Labels in the database: one vector each, embedded once. L labels · P prompts a label · D dimensions

Labels in a real Weaviate, one object each. L labels · D dimensions
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

PROMPTS_PER_STEP = 256  # embedded and stored together, whole labels: what an interruption loses at most
SEARCHABLE_TIMEOUT_SECONDS = (
    30.0  # longest a stored label may take to be found, where a server indexes in the background
)
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
        """Stores all or raises VectorizerError."""

    def vectors(self, ids: Sequence[str]) -> Mapping[str, Vectors]:
        """(D,) as stored, by id, of those that the store holds."""

    def nearest(self, vector_d: Vectors, ids: Collection[str]) -> list[Neighbour]:
        """Those of `ids` that a search finds, nearest first."""


class PromptEncoder(Protocol):
    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...


def store_labels(
    labels: Sequence[Label],
    dimension: int,
    encoder: PromptEncoder,
    store: LabelStore,
    searchable_seconds: float = SEARCHABLE_TIMEOUT_SECONDS,
) -> Vectors:
    """The labels' vectors (L, D) as the database has them; on return a search finds all that were new.

    Only those that the store lacked were embedded. Raises VectorizerError when some cannot be found in the end.
    """
    held = dict(store.vectors([label.id for label in labels]))
    missing = [label for label in labels if label.id not in held]
    done = 0
    for step in split_into_steps(missing):
        vectors_ld = compute_label_vectors(step, encoder)
        store.add(step, vectors_ld)
        held |= {label.id: vector_d for label, vector_d in zip(step, vectors_ld, strict=True)}
        done += len(step)
        if len(step) < len(missing):  # a small set is done before anybody wonders
            logger.info("%d of %d new labels embedded and stored", done, len(missing))
    if missing:
        wait_until_searchable(missing, dimension, store, searchable_seconds)
    return np.stack([held[label.id] for label in labels])


def split_into_steps(labels: Sequence[Label]) -> list[list[Label]]:
    """Runs of labels with some 256 prompts each; a label is never cut."""
    cut: list[list[Label]] = []
    room = 0
    for label in labels:
        if room < len(label.prompts):
            cut.append([])
            room = PROMPTS_PER_STEP
        cut[-1].append(label)
        room -= len(label.prompts)
    return cut


def compute_label_vectors(labels: Sequence[Label], encoder: PromptEncoder) -> Vectors:
    """(L, D) unit rows: the mean of each label's prompts, unit again. Labels may have different numbers of prompts."""
    vectors_nd = encoder.embed_texts([prompt for label in labels for prompt in label.prompts])
    ends = np.cumsum([len(label.prompts) for label in labels])[:-1]
    return np.stack([ensemble(prompts_pd) for prompts_pd in np.split(vectors_nd, ends)])


def find_searchable_ids(labels: Sequence[Label], dimension: int, store: LabelStore) -> set[str]:
    """What a search over `labels` finds. Any direction will do: the answer is every label there is."""
    anywhere: Vectors = np.eye(1, dimension, dtype=np.float32)[0]
    return {neighbour.id for neighbour in store.nearest(anywhere, [label.id for label in labels])}


def wait_until_searchable(labels: Sequence[Label], dimension: int, store: LabelStore, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while missing := {label.id for label in labels} - find_searchable_ids(labels, dimension, store):
        if time.monotonic() >= deadline:
            raise VectorizerError(
                f"{len(missing)} of {len(labels)} labels cannot be found {seconds:g} s after they were "
                "stored; look at Weaviate's log, then run this again (labels already stored stay)"
            )
        time.sleep(POLL_SECONDS)


class WeaviateLabels:
    """A LabelStore in the collection of labels; a second one beside it when another model made the first."""

    def __init__(self, client: WeaviateClient, url: str, info: ModelInfo) -> None:
        self._client, self._url, self._info = client, url, info

    @cached_property
    def _collection(self) -> Any:
        """Made when the first labels are looked for, which have been checked by then."""
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
    """Its name. Labels can always be made again, so another model gets a collection of its own, not a refusal."""
    try:
        ensure_label_collection(client, info)
    except Mismatch:
        own = f"{LABEL_COLLECTION}_{''.join(filter(str.isalnum, info.revision))[:12]}"
        ensure_label_collection(client, info, own)
        return own
    return LABEL_COLLECTION


def read_distance(row: Any) -> float:
    """Of one of Weaviate's rows. Raises VectorizerError where it tells none."""
    distance: float | None = row.metadata.distance
    if distance is None:
        raise VectorizerError(f"Weaviate gave no distance for {row.uuid}; is its version at least 1.39?")
    return distance
