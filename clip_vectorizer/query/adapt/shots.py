"""Labelled images read from the collection: some of each label, the same in every run. M shots · D dimensions

An object's id is a hash of its path, so the first ids in order are a random sample that is the same in every run.
"""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, Sort

from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.adapt.few_shot import ClassIndices
from clip_vectorizer.query.search.calls import SearchableCollection, WeaviateCall
from clip_vectorizer.vectors import Vectors, unit

MAX_SHOTS = 1_000  # per label
PARALLEL_QUERIES = 4  # more only queue up in Weaviate on a small machine
SHOT_PAGE_SIZE = 1_000
MAX_LISTED_IMAGES = 10_000  # read to list values in an error: Weaviate's limit for one answer
MAX_LISTED_NAMES = 10  # values or labels in a message

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shots:
    """Ascending by class."""

    vectors_md: Vectors  # (M, D) unit rows
    classes_m: ClassIndices  # index of the label
    ids_m: Sequence[str]


def read_shots(labels: Sequence[str], property: str, limit: int, images: SearchableCollection | None) -> Shots:
    """Return up to `limit` images of each label: those whose `property` is the label.

    Logs a warning for labels without images. Raises InputError: no such property, not a text property, no shots at
    all, or shots of only one label.
    """
    store = require_shot_collection(images)
    check_label_property(property, store)
    if not 1 <= limit <= MAX_SHOTS:
        raise InputError(f"shots {limit}: expected 1 to {MAX_SHOTS} images of each label")
    with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
        found = list(pool.map(lambda label: read_label_shots(label, property, limit, store), labels))
    check_shot_counts(labels, property, [len(rows) for rows in found], store)
    name = store.target.vector
    vectors = [np.asarray(row.vector[name], dtype=np.float32) for rows in found for row in rows]
    classes_m = np.repeat(np.arange(len(labels)), [len(rows) for rows in found])
    return Shots(unit(np.stack(vectors)), classes_m, [str(row.uuid) for rows in found for row in rows])


def require_shot_collection(images: SearchableCollection | None) -> SearchableCollection:
    if images is None:
        raise InputError(
            "connected without a collection, so there are no labelled images; name one: "
            "ImageSearch.connect(collection='Image')"
        )
    return images


def check_label_property(name: str, store: SearchableCollection) -> None:
    types = store.target.properties
    texts = sorted(each for each, data_type in types.items() if data_type is DataType.TEXT)
    if name not in types:
        raise InputError(
            f"the collection {store.target.collection} has no property {name}; {did_you_mean(name, texts)}"
            f"its texts are {', '.join(texts)}"
        )
    if types[name] is not DataType.TEXT:
        raise InputError(
            f"the property {name} is not a text but {types[name].value}, and a label is a text; "
            f"use one of {', '.join(texts)}"
        )


def read_label_shots(label: str, property: str, limit: int, store: SearchableCollection) -> list[Any]:
    """Return objects in the order of their ids. Compare the text again: an index by words matches part of it too."""
    rows: list[Any] = []
    for page in read_pages(limit, store, filters=Filter.by_property(property).equal(label), properties=[property]):
        rows += [row for row in page if row.properties.get(property) == label and row.vector.get(store.target.vector)]
        if len(rows) >= limit:
            break
    return rows[:limit]


def read_pages(
    size: int, store: SearchableCollection, properties: Sequence[str], filters: Any
) -> Iterator[Sequence[Any]]:
    """Yield the objects that match `filters`, by id, with vectors; up to Weaviate's limit for one answer."""
    arguments = {
        "filters": filters,
        "sort": Sort.by_id(),
        "include_vector": [store.target.vector],
        "return_properties": list(properties),
    }
    size = min(size, SHOT_PAGE_SIZE)
    for offset in range(0, MAX_LISTED_IMAGES - size + 1, size):
        page = store.execute(WeaviateCall("fetch_objects", {**arguments, "limit": size, "offset": offset})).objects
        yield page
        if len(page) < size:
            return


def check_shot_counts(labels: Sequence[str], property: str, counts: Sequence[int], store: SearchableCollection) -> None:
    without = [label for label, count in zip(labels, counts, strict=True) if not count]
    with_images = len(labels) - len(without)
    if with_images == 0:
        raise InputError(
            f"no image has one of the labels as its {property}: there is nothing to learn from; "
            f"{describe_values(labels, property, store)}"
        )
    if with_images == 1:
        [only] = set(labels) - set(without)
        raise InputError(
            f"only the label {only!r} has images by {property}, and at least two are needed; "
            f"{describe_values(without, property, store)}"
        )
    if without:
        logger.warning("no image has %s %s; only its text is used", property, join_names(without))


def describe_values(labels: Sequence[str], property: str, store: SearchableCollection) -> str:
    found = store.execute(
        WeaviateCall("fetch_objects", {"limit": MAX_LISTED_IMAGES, "return_properties": [property]})
    ).objects
    values = sorted({str(row.properties[property]) for row in found if row.properties.get(property)})
    if not values:
        return f"{property} is empty everywhere: fill it first, for example by folders named after labels"
    return f"{did_you_mean(labels[0], values)}the values of {property} are {join_names(values)}"


def join_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_LISTED_NAMES} more" if len(names) > MAX_LISTED_NAMES else ""
    return ", ".join(names[:MAX_LISTED_NAMES]) + more


def sample_vectors(store: SearchableCollection) -> Iterator[Vectors]:
    """Yield stored vectors in the order of the ids, (N, D) unit rows at a time."""
    after = None
    while True:
        arguments = {"limit": SHOT_PAGE_SIZE, "after": after, "include_vector": [store.target.vector]}
        page = store.execute(WeaviateCall("fetch_objects", {**arguments, "return_properties": False})).objects
        vectors = [row.vector[store.target.vector] for row in page if row.vector.get(store.target.vector)]
        if vectors:
            yield unit(np.asarray(vectors, dtype=np.float32))
        if len(page) < SHOT_PAGE_SIZE:
            return
        after = page[-1].uuid
