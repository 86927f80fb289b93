"""All objects that a filter finds, however many: Weaviate answers 10,000 at most, and its cursor takes no filter.

The paths are halved until no part has more than a page. A cursor through everything is no way: where images are kept
it reads every one of them [440 objects a second of 400 KB].

What a search can find: an object may be stored and yet be in no vector index.

Weaviate stores an object first and puts its vector into the index then; it stops between the two when whoever sent the
object is killed, and does not mend it when an equal one is sent again [tried with 1.39.0; in its source:
shard_write_batch_objects.go].

D dimensions
"""

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
IMAGE_PAGE_SIZE = 100  # the server has all of a page in memory, images and all

StoredObject = Object[Any, Any]
ImageCollection = Collection[Any, Any]


def iterate_matching(
    collection: Collection[Any, Any], where: _Filters, properties: Sequence[str], page: int
) -> Iterator[StoredObject]:
    """In the order of their paths, roughly. What is added or removed meanwhile may or may not be among them."""
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
    """Those of the objects that are in the index of `vector`: with so few allowed by a filter it looks at each."""
    return collection.query.near_vector(
        unit(np.ones(dimension, np.float32)).tolist(),
        target_vector=vector,
        filters=Filter.by_id().contains_any(list(ids)),
        limit=len(ids),
        return_properties=properties,
    ).objects


def is_still_indexing(client: WeaviateClient, collection: str) -> bool:
    """Of a server with ASYNC_INDEXING: what it has taken is found a while later."""
    try:
        nodes = client.cluster.nodes(collection, output="verbose")
    except UnexpectedStatusCodeError:  # not for everybody's eyes
        return False
    return any(shard.vector_queue_length for node in nodes for shard in node.shards or ())
