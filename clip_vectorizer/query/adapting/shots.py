"""Labelled images read from the collection: so many of each label, the same ones every time. M shots · D dimensions

An object's id is a hash of its path, so the first ids in order are a fair sample that does not change between runs.
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
from clip_vectorizer.query.adapting.few_shot import Classes
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.query.searching.answering import ImageStore
from clip_vectorizer.query.searching.steps import Call
from clip_vectorizer.vectors import Vectors, unit

logger = logging.getLogger(__name__)

MOST_SHOTS = 1_000  # of one label
PARALLEL_QUERIES = 4  # more only queue up in Weaviate on a small machine
A_PAGE = 1_000
LOOKED_THROUGH = 10_000  # images whose values are told when no label is among them: Weaviate's limit for one answer
TOLD = 10  # values, labels


@dataclass(frozen=True, slots=True)
class Shots:
    """Ascending by class."""

    vectors_md: Vectors  # (M, D) unit rows
    classes_m: Classes  # which label, by place
    ids_m: Sequence[str]


def shots_of(labels: Sequence[str], property: str, most: int, images: ImageStore | None) -> Shots:
    """Up to `most` images for each label: those whose `property` is the label.

    A label without any is logged. Raises InputError: no such property, it is no text, no shots at all, or of one label
    only.
    """
    store = connected(images)
    check_property(property, store)
    if not 1 <= most <= MOST_SHOTS:
        raise InputError(f"shots {most}: expected 1 to {MOST_SHOTS} images of each label")
    with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
        found = list(pool.map(lambda label: shots_of_one(label, property, most, store), labels))
    check_found(labels, property, [len(rows) for rows in found], store)
    name = store.searched.vector
    vectors = [np.asarray(row.vector[name], dtype=np.float32) for rows in found for row in rows]
    classes_m = np.repeat(np.arange(len(labels)), [len(rows) for rows in found])
    return Shots(unit(np.stack(vectors)), classes_m, [str(row.uuid) for rows in found for row in rows])


def connected(images: ImageStore | None) -> ImageStore:
    if images is None:
        raise InputError(
            "connected without a collection, where the labelled images would be; name one: "
            "ImageSearch.connect(collection='Image')"
        )
    return images


def check_property(name: str, store: ImageStore) -> None:
    types = store.searched.properties
    texts = sorted(each for each, data_type in types.items() if data_type is DataType.TEXT)
    if name not in types:
        raise InputError(
            f"the collection {store.searched.collection} has no property {name}; {did_you_mean(name, texts)}"
            f"its texts are {', '.join(texts)}"
        )
    if types[name] is not DataType.TEXT:
        raise InputError(
            f"the property {name} is no text but {types[name].value}, and a label is a text; "
            f"take one of {', '.join(texts)}"
        )


def shots_of_one(label: str, property: str, most: int, store: ImageStore) -> list[Any]:
    """Rows in the order of their ids. A text that is indexed by words is found by some of them: it is compared here."""
    rows: list[Any] = []
    for page in pages(most, store, filters=Filter.by_property(property).equal(label), properties=[property]):
        rows += [row for row in page if row.properties.get(property) == label and row.vector.get(store.searched.vector)]
        if len(rows) >= most:
            break
    return rows[:most]


def pages(size: int, store: ImageStore, properties: Sequence[str], filters: Any) -> Iterator[Sequence[Any]]:
    """What `filters` let through, by id, with vectors; up to Weaviate's limit for one answer."""
    arguments = {
        "filters": filters,
        "sort": Sort.by_id(),
        "include_vector": [store.searched.vector],
        "return_properties": list(properties),
    }
    size = min(size, A_PAGE)
    for offset in range(0, LOOKED_THROUGH - size + 1, size):
        page = store.ask(Call("fetch_objects", {**arguments, "limit": size, "offset": offset})).objects
        yield page
        if len(page) < size:
            return


def check_found(labels: Sequence[str], property: str, counts: Sequence[int], store: ImageStore) -> None:
    without = [label for label, count in zip(labels, counts, strict=True) if not count]
    known = len(labels) - len(without)
    if known == 0:
        raise InputError(
            f"no image has one of the labels as its {property}: there is nothing to learn from; "
            f"{values_told(labels, property, store)}"
        )
    if known == 1:
        [only] = set(labels) - set(without)
        raise InputError(
            f"only the label {only!r} has images by {property}, and one says nothing about the others; "
            f"{values_told(without, property, store)}"
        )
    if without:
        logger.warning("no image has %s %s; its text alone speaks for it", property, told(without))


def values_told(labels: Sequence[str], property: str, store: ImageStore) -> str:
    found = store.ask(Call("fetch_objects", {"limit": LOOKED_THROUGH, "return_properties": [property]})).objects
    values = sorted({str(row.properties[property]) for row in found if row.properties.get(property)})
    if not values:
        return f"{property} is empty everywhere: fill it first, for example by folders named after labels"
    return f"{did_you_mean(labels[0], values)}the values of {property} are {told(values)}"


def told(names: Sequence[str]) -> str:
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more


def sample(store: ImageStore) -> Iterator[Vectors]:
    """Stored vectors, (N, D) a part, in the order of the ids: what a mean is taken of."""
    after = None
    while True:
        arguments = {"limit": A_PAGE, "after": after, "include_vector": [store.searched.vector]}
        page = store.ask(Call("fetch_objects", {**arguments, "return_properties": False})).objects
        vectors = [row.vector[store.searched.vector] for row in page if row.vector.get(store.searched.vector)]
        if vectors:
            yield unit(np.asarray(vectors, dtype=np.float32))
        if len(page) < A_PAGE:
            return
        after = page[-1].uuid
