"""Objects of an ingest in Weaviate: conversion from and to items, properties of metadata, and queries. D dimensions"""

import base64
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.config import DataType
from weaviate.classes.data import DataObject, GeoCoordinate
from weaviate.classes.query import Filter
from weaviate.collections import Collection
from weaviate.collections.classes.filters import _Filters
from weaviate.collections.classes.internal import Object
from weaviate.collections.classes.types import WeaviateField
from weaviate.collections.config import _ConfigCollection
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database import schema
from clip_vectorizer.database.collections import add_property
from clip_vectorizer.database.schema import (
    METADATA_PROPERTIES,
    PAGE_FACT_PROPERTIES,
    PATH,
    CollectionDescription,
    property_name,
    user_property,
)
from clip_vectorizer.errors import InputError
from clip_vectorizer.vectors import Vectors, unit
from ingest.choices import Fit, Keep
from ingest.items import (
    Amendment,
    Facts,
    GeoPoint,
    ImageObject,
    MetadataValue,
    RegionResult,
    StoredState,
    UnusableFile,
    add_time_zone,
    digest_facts,
)
from ingest.store.base import Refusal

COMPARED_PROPERTIES = [
    *(schema.PATH, schema.SHA256, schema.FIT, schema.STAMP, schema.FACTS, schema.SOURCE, schema.PHASH, schema.REGIONS)
]
DATA_TYPES: dict[type, DataType] = {
    bool: DataType.BOOL,
    int: DataType.INT,
    float: DataType.NUMBER,
    str: DataType.TEXT,
    datetime: DataType.DATE,
    GeoPoint: DataType.GEO_COORDINATES,
}

ObjectProperties = dict[str, WeaviateField]
NewObject = DataObject[ObjectProperties, None]

ChangeT = TypeVar("ChangeT", ImageObject, Amendment)
ResultT = TypeVar("ResultT")
PAGE_SIZE = 5000
IMAGE_PAGE_SIZE = 100  # the server holds a whole page in memory, with its images

StoredObject = Object[Any, Any]
ImageCollection = Collection[Any, Any]


def build_each(
    changes: Sequence[ChangeT], make: Callable[[ChangeT], ResultT]
) -> tuple[dict[str, ResultT], dict[str, Refusal]]:
    """Return by key the results of `make`, and the refusals of those for which it raises UnusableFile."""
    made: dict[str, ResultT] = {}
    refused: dict[str, Refusal] = {}
    for change in changes:
        try:
            made[change.key] = make(change)
        except UnusableFile as problem:
            refused[change.key] = Refusal(str(problem))
    return made, refused


class CollectionProperties:
    """The metadata properties of a collection, each added with the type of its first value. Thread-safe."""

    def __init__(self, config: _ConfigCollection, types: Mapping[str, DataType]) -> None:
        self._config, self._types = config, dict(types)
        self._lock = threading.Lock()

    def properties(self, metadata: Mapping[str, MetadataValue]) -> dict[str, WeaviateField]:
        """Return values by property. Raises UnusableFile if a value does not fit or a column cannot be a property."""
        found: dict[str, WeaviateField] = {}
        for column, value in metadata.items():
            name = choose_property_name(column)
            if name in PAGE_FACT_PROPERTIES and not self._accepts(name, value):
                continue  # a collection of an earlier version may have a column of that name
            if name in found:
                raise UnusableFile(f"two of its columns are called {name}; rename one, --property {column}=my_{name}")
            found[name] = self._convert(column, name, value)
        return found

    def own(self, name: str, value: MetadataValue) -> WeaviateField:
        """Return the value of a property of this project, which a collection of an earlier version may lack."""
        return self._convert(name, name, value)

    def _accepts(self, name: str, value: MetadataValue) -> bool:
        given, present = infer_data_type(value), self._type(name, value)
        return present is given or (present, given) == (DataType.NUMBER, DataType.INT)

    def _convert(self, column: str, name: str, value: MetadataValue) -> WeaviateField:
        given, present = infer_data_type(value), self._type(name, value)
        if present is DataType.NUMBER and given is DataType.INT and isinstance(value, int):
            return float(value)
        if present is not given:
            as_text = (
                f"read the whole column as text, --property {column}={name}:text, or "
                if present is DataType.TEXT
                else ""
            )
            raise UnusableFile(
                f"its column {column!r} is {given.value} here, but the property {name} holds {present.value}; {as_text}"
                f"give it another property, --property {column}=my_{name}"
            )
        return convert_value(value)

    def _type(self, name: str, value: MetadataValue) -> DataType:
        with self._lock:
            if name not in self._types:
                add_property(self._config, user_property(name, infer_data_type(value)))
                self._types = {each.name: each.data_type for each in self._config.get().properties}
            return self._types[name]


def build_data_object(
    item: ImageObject, description: CollectionDescription, columns: CollectionProperties
) -> NewObject:
    """Return the object to insert. Raises UnusableFile if its metadata does not fit the collection."""
    vectors = build_vectors(item, description)
    properties = build_properties(item, description, columns)
    return DataObject(uuid=schema.image_id(item.key), properties=properties, vector=vectors or None)


def build_properties(
    item: ImageObject, description: CollectionDescription, columns: CollectionProperties
) -> ObjectProperties:
    """Return all properties; the image only if it is stored, or if Weaviate has to make the vector."""
    properties: ObjectProperties = build_fact_properties(item.facts, columns) | {
        schema.PATH: item.key,
        schema.FILENAME: item.key.rpartition("/")[2],
        schema.SIZE: item.size,
        schema.MIME: item.mime,
        schema.MODEL: description.model.model,
        schema.SOURCE: item.source,
        schema.STAMP: item.stamp,
        schema.FIT: str(item.fit),
    }
    if description.keep != Keep.NONE:
        properties[schema.SHA256] = item.sha256
    if description.keep == Keep.FULL or item.vector_d is None:
        properties[schema.IMAGE] = encode_base64(item.image)
    if item.damage:
        properties[schema.DAMAGED] = columns.own(schema.DAMAGED, True)
    if item.thumbnail:
        properties[schema.THUMBNAIL] = encode_base64(item.thumbnail)
    optional = {
        schema.PHASH: item.phash,
        schema.DUPLICATE_OF: item.duplicate_of,
        schema.REGIONS: item.regions.stamp if isinstance(item.regions, RegionResult) else "",
    }
    return properties | {name: value for name, value in optional.items() if value}


def build_fact_properties(facts: Facts, columns: CollectionProperties) -> ObjectProperties:
    properties: ObjectProperties = {
        schema.LABEL: facts.label,
        schema.CAPTION: facts.caption,
        schema.FACTS: digest_facts(facts),
    }
    return columns.properties(facts.metadata) | properties


def build_amendment_properties(amendment: Amendment, columns: CollectionProperties) -> ObjectProperties:
    """Return the properties that an amendment changes. Raises UnusableFile if the metadata does not fit."""
    changes: ObjectProperties = {schema.SOURCE: amendment.source, schema.STAMP: amendment.stamp}
    if amendment.phash:
        changes[schema.PHASH] = amendment.phash
    if isinstance(amendment.regions, RegionResult):
        changes[schema.REGIONS] = amendment.regions.stamp or None
    return changes if amendment.facts is None else build_fact_properties(amendment.facts, columns) | changes


def build_vectors(item: ImageObject, description: CollectionDescription) -> dict[str, Sequence[float]]:
    """Return vectors by name. Weaviate makes the ones that are absent, and raises an error if it cannot."""
    vectors = {name: make_placeholder_vector(item.sha256, size).tolist() for name, size in description.retired.items()}
    if item.vector_d is not None:
        vectors[description.vector] = item.vector_d.tolist()
    return vectors


def make_placeholder_vector(sha256: str, dimension: int) -> Vectors:
    """Return a unit vector (D,) for a retired vector that Weaviate still requires; equal images get the same one.

    Random directions, because equal vectors would make one clump of the graph, in which each insertion visits all.
    """
    random = np.random.default_rng(int(sha256[:16], 16))
    return unit(random.standard_normal(dimension).astype(np.float32))


def read_stored_state(properties: Mapping[str, WeaviateField]) -> StoredState:
    """Read the compared properties. An object of an earlier version lacks some: it was cropped, the rest is unknown."""
    sha256, fit, *others = (str(properties.get(name) or "") for name in COMPARED_PROPERTIES[1:])
    return StoredState(sha256, fit or str(Fit.CROP), *others)


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def choose_property_name(column: str) -> str:
    """Return the property of a metadata column. Raises UnusableFile if its name cannot be one."""
    if column in METADATA_PROPERTIES or column in PAGE_FACT_PROPERTIES:
        return column
    try:
        return property_name(column)
    except InputError as error:
        raise UnusableFile(str(error)) from error


def infer_data_type(value: MetadataValue) -> DataType:
    return next(data_type for kind, data_type in DATA_TYPES.items() if isinstance(value, kind))  # bool before int


def convert_value(value: MetadataValue) -> WeaviateField:
    if isinstance(value, GeoPoint):
        return GeoCoordinate(latitude=value.latitude, longitude=value.longitude)
    if isinstance(value, datetime):
        return add_time_zone(value)
    return value


def iterate_matching(
    collection: Collection[Any, Any], where: _Filters, properties: Sequence[str], page: int
) -> Iterator[StoredObject]:
    """Yield all matching objects, roughly in the order of their paths; changes made meanwhile may be missed.

    Weaviate returns 10,000 objects at most, and its cursor takes no filter. So the range of paths is halved until each
    part fits a page. A cursor through all objects would read every stored image [440 objects a second of 400 KB].
    """
    found = collection.query.fetch_objects(filters=where, limit=page, return_properties=[PATH, *properties]).objects
    if len(found) < page:
        yield from found
        return
    middle = sorted(get_path(row) for row in found)[(len(found) - 1) // 2]  # at least one is beyond it
    path = Filter.by_property(PATH)
    yield from iterate_matching(collection, where & path.less_or_equal(middle), properties, page)
    yield from iterate_matching(collection, where & path.greater_than(middle), properties, page)


def get_path(row: StoredObject) -> str:
    return str(row.properties[PATH])


def find_searchable(
    collection: ImageCollection, vector: str, dimension: int, ids: Sequence[str], properties: list[str]
) -> Sequence[StoredObject]:
    """Return those of the objects that are in the index of `vector`. So few allowed ids make Weaviate search them all.

    A stored object may be missing in the index: Weaviate stores it first and indexes it then, stops between the two if
    the client is killed, and does not repair it when an equal object is sent [tried with 1.39.0; in its source:
    shard_write_batch_objects.go]. `dimension`: of the vector.
    """
    return collection.query.near_vector(
        unit(np.ones(dimension, np.float32)).tolist(),
        target_vector=vector,
        filters=Filter.by_id().contains_any(list(ids)),
        limit=len(ids),
        return_properties=properties,
    ).objects


def is_still_indexing(client: WeaviateClient, collection: str) -> bool:
    """Whether a server with ASYNC_INDEXING has stored objects that are not in the index yet."""
    try:
        nodes = client.cluster.nodes(collection, output="verbose")
    except UnexpectedStatusCodeError:  # the API key may not read the nodes
        return False
    return any(shard.vector_queue_length for node in nodes for shard in node.shards or ())
