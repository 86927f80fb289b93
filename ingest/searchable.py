"""What a search can find: an object may be stored and yet be in no vector index.

Weaviate stores an object first and puts its vector into the index then; it stops between the two when whoever sent the
object is killed, and does not mend it when an equal one is sent again [tried with 1.39.0; in its source:
shard_write_batch_objects.go].

D dimensions
"""

from collections.abc import Sequence

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.query import Filter
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.vectors import unit
from ingest.scan import Images, Row


def searchable(
    collection: Images, vector: str, dimension: int, ids: Sequence[str], properties: list[str]
) -> Sequence[Row]:
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
