"""Queries of an ingest: all objects that match a filter, and those that are in the vector index."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.query import Filter
from weaviate.collections import Collection
from weaviate.collections.classes.filters import _Filters
from weaviate.collections.classes.internal import Object
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.schema import PATH
from clip_vectorizer.vectors import unit

PAGE_SIZE = 5000
IMAGE_PAGE_SIZE = 100  # the server holds a whole page in memory, with its images

StoredObject = Object[Any, Any]
ImageCollection = Collection[Any, Any]


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
