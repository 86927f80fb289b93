"""Labels, as users write them with or without descriptions, and in the database: one object and one vector each.

>>> parse_label("crane: a construction crane / a wading bird")
('crane', ('a construction crane', 'a wading bird'))

L labels · P prompts per label · D dimensions
"""

import json
import logging
import re
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.util import generate_uuid5

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
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, Mismatch, VectorizerError
from clip_vectorizer.query.prompts import BLANK, PromptSet, fill_templates, normalize_text, select_prompt_set
from clip_vectorizer.vectors import Vectors, ensemble

MAX_LABELS = 100_000  # measured by benchmarks/growth
DESCRIPTION_COLON = re.compile("(.+?)(?:: |\uff1a) *(.+)")  # "16:9" is a name; a Chinese colon needs no space
DESCRIPTION_SEPARATOR = re.compile(r"(?:^|\s)/(?=\s|$)")  # between descriptions, not inside "and/or"
LEADING_ARTICLE = re.compile("^(?:an?|the) ", re.IGNORECASE)
TRAILING_ARTICLE = re.compile(r"\b(?:an?|the) $", re.IGNORECASE)
PROMPTS_PER_STEP = 256  # embedded and stored together, in whole labels: an interruption loses no more
SEARCHABLE_TIMEOUT_SECONDS = 30.0  # until a search finds a stored label; a server may index in the background
POLL_SECONDS = 0.2
VECTOR_PAGE_SIZE = 2000  # vectors fetched at once: 4 MB of 512 dimensions
DISTANCE_METADATA = MetadataQuery(distance=True)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Label:
    """One label and everything its vector depends on. `id` is the same in each run with the same model and prompts."""

    text: str  # the name, without descriptions
    prompts: tuple[str, ...]
    family: str  # digest of model and templates: distances of labels of one family are comparable
    id: str
    prompt_set: str = ""  # name of the prompt set
    version: str = ""  # digest of its templates
    entry: str = ""  # as the user wrote it, with descriptions


def build_labels(texts: Sequence[str], templates: Sequence[str] | PromptSet | None, info: ModelInfo) -> list[Label]:
    """Return the labels in the given order. `templates` None: a set that suits each label's language and the model.

    A label may have descriptions, as in `crane: a construction crane / a wading bird`: each is put into every template
    in place of the name, and the vectors are averaged. Raises InputError for invalid labels or templates.
    """
    prompts = templates if isinstance(templates, PromptSet) else select_prompt_set(templates=templates)
    return [build_label(entry, prompts.for_label(entry, info.model), info) for entry in check_labels(texts)]


def check_labels(texts: Sequence[str]) -> list[str]:
    """Return the labels without surrounding white space.

    Raises InputError for too few or too many labels, an empty or repeated one, and one that is not text.

    >>> check_labels([" cat", "dog"])
    ['cat', 'dog']
    """
    labels = [normalize_text(text) for text in texts]
    if "" in labels:
        raise InputError(f"label {labels.index('') + 1} of {len(labels)} is empty; remove it, or give it a name")
    first: dict[str, str] = {}
    for label in labels:
        name, _ = parse_label(label)
        if (twin := first.get(name.casefold())) is not None:  # models read upper and lower case alike
            raise InputError(f"the label {name!r} is given twice (first as {twin!r}); remove one")
        first[name.casefold()] = name
    if len(labels) < 2:
        given = "no labels" if not labels else "one label"
        raise InputError(f"{given} given; classification chooses between labels: give at least two")
    if len(labels) > MAX_LABELS:
        raise InputError(f"{len(labels)} labels given; at most {MAX_LABELS} can compete")
    return labels


def parse_label(entry: str) -> tuple[str, tuple[str, ...]]:
    """Split a label into its name and descriptions. Raises InputError for an empty description."""
    parts = DESCRIPTION_COLON.fullmatch(entry)
    if parts is None:
        if entry.endswith((":", "\uff1a")):
            raise InputError(f"the label {entry!r} has a colon and no description; add one, or remove the colon")
        return entry, ()
    descriptions = tuple(dict.fromkeys(part.strip() for part in DESCRIPTION_SEPARATOR.split(parts[2])))
    if "" in descriptions:
        raise InputError(f"the label {entry!r} has an empty description; write it, or remove the '/'")
    return parts[1].rstrip(), descriptions


def build_label(entry: str, prompts: PromptSet, info: ModelInfo) -> Label:
    text, descriptions = parse_label(entry)
    family = str(generate_uuid5(json.dumps([info.revision, *sorted(set(prompts.templates))]), LABEL_COLLECTION))
    id = str(generate_uuid5(entry, family))  # without descriptions `entry` is the name
    return Label(text, build_prompts(prompts, text, descriptions), family, id, prompts.name, prompts.version, entry)


def build_prompts(prompts: PromptSet, text: str, descriptions: Sequence[str]) -> tuple[str, ...]:
    if not descriptions:
        return fill_templates(prompts.templates, text)
    return tuple(fill_description(template, each) for template in prompts.templates for each in descriptions)


def fill_description(template: str, description: str) -> str:
    """Fill a template with a description; of two articles in a row, drop the second.

    >>> fill_description("a photo of a {}", "a wading bird")
    'a photo of a wading bird'
    """
    before, _, after = template.partition(BLANK)
    if TRAILING_ARTICLE.search(before):
        description = LEADING_ARTICLE.sub("", description)
    return before + description + after


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
        """Return those of `ids`, MAX_RESULTS at most, that a search finds, nearest first."""


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
    ids = [label.id for label in labels]
    parts = (ids[start : start + MAX_RESULTS] for start in range(0, len(ids), MAX_RESULTS))
    return {neighbour.id for part in parts for neighbour in store.nearest(query_d, part)}


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
