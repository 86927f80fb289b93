"""Look-ups of stored states: many ids a request, read straight from Weaviate's response.

weaviate-client makes objects of every value; for a second run over unchanged files that is most of the time. Its own
query is the template of the requests.
"""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from weaviate.classes.query import Filter

from clip_vectorizer.database import schema
from clip_vectorizer.vectors import unit
from ingest.choices import Fit
from ingest.items import StoredState
from ingest.store.objects import COMPARED_PROPERTIES, ImageCollection

SearchMessage = Any  # `SearchRequest` of weaviate.proto
SOME_ID = schema.image_id("")


class StateQuery:
    """Requests of objects that are in the index of `vector`: see `find_searchable`. Thread-safe."""

    def __init__(self, collection: ImageCollection, vector: str, dimension: int, properties: list[str]) -> None:
        """`properties`: those of COMPARED_PROPERTIES that the collection has. `dimension`: of the vector."""
        self._query: Any = collection.query
        self._vector, self._dimension, self._properties = vector, dimension, properties
        self._template: SearchMessage = None
        self._lock = threading.Lock()

    def find(self, ids: Sequence[str]) -> dict[str, StoredState]:
        """Return the states of the objects with these ids by path; what no search finds is absent."""
        response = self._query._connection.grpc_search(self._build_request(ids))
        return dict(read_state(result.properties.non_ref_props.fields) for result in response.results)

    def _build_request(self, ids: Sequence[str]) -> SearchMessage:
        with self._lock:
            if self._template is None:
                self._template = self._build_template()
            request = type(self._template)()
            request.CopyFrom(self._template)
        request.limit = len(ids)
        request.filters.value_text_array.values[:] = ids
        return request

    def _build_template(self) -> SearchMessage:
        anywhere: list[float] = unit(np.ones(self._dimension, np.float32)).tolist()
        return self._query._query.near_vector(
            near_vector=anywhere,
            target_vector=self._vector,
            filters=Filter.by_id().contains_any([SOME_ID]),
            limit=1,
            return_properties=self._properties,
        )


def read_state(fields: Any) -> tuple[str, StoredState]:
    """Return the path of an object and its state, from the map of its properties.

    An object of an earlier version lacks some: it was cropped, the rest is unknown.
    """
    path, sha256, fit, *others = [fields[name].text_value for name in COMPARED_PROPERTIES]
    return path, StoredState(sha256, fit or str(Fit.CROP), *others)
