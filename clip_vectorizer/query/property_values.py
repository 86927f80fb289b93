"""Distinct values of a text property in a collection."""

from collections.abc import Iterable
from typing import Any

from weaviate import WeaviateClient
from weaviate.classes.config import DataType

from clip_vectorizer.database.collections import CollectionState
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.connect import check_collection
from clip_vectorizer.query.filters.suggestions import FEW_VALUES, group_by_arguments, read_group_values

TEXT_TYPES = (DataType.TEXT, DataType.TEXT_ARRAY)


def list_property_values(
    client: WeaviateClient, url: str, name: str, collection: str, tenant: str | None = None
) -> list[str]:
    """Return the distinct values, sorted; of a list every element. Empty ones are left out.

    Raises InputError (no such collection, tenant or text property), Mismatch (collection of another program),
    Unreachable.
    """
    stored = check_collection(client, url, collection, tenant)
    check_text_property(name, stored, collection)
    images = client.collections.use(collection)
    with weaviate_errors(url):
        return read_distinct_values(images.with_tenant(tenant) if tenant else images, name)


def check_text_property(name: str, stored: CollectionState, collection: str) -> None:
    texts = sorted(each for each, data_type in stored.properties.items() if data_type in TEXT_TYPES)
    if name in texts:
        return
    problem = "has no texts in" if name in stored.properties else "has no property"
    suggestion = did_you_mean(name, texts)
    raise InputError(
        f"the collection {collection} {problem} {name}; {suggestion}those with texts are {', '.join(texts)}"
    )


def read_distinct_values(images: Any, name: str) -> list[str]:
    """Let Weaviate list the values of FEW_VALUES, which is faster than reading all objects."""
    few = read_group_values(images.aggregate.over_all(**group_by_arguments(name))) if name in FEW_VALUES else []
    values = few or (row.properties.get(name) for row in images.iterator(return_properties=[name]))
    return sorted({text for value in values for text in flatten_texts(value) if text})


def flatten_texts(value: str | list[str] | None) -> Iterable[str]:
    return [value] if isinstance(value, str) else value or []
