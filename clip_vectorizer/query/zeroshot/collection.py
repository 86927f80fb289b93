"""The images of a collection as classification reads and writes them. D dimensions"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.query import Filter, FilterReturn, MetadataQuery

from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.query.database import at
from clip_vectorizer.query.filters.empty import explain_empty, grouping, values_asked, values_of
from clip_vectorizer.query.filters.where import Where, where_filter
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.zeroshot.results import Block
from clip_vectorizer.schema import PATH
from clip_vectorizer.vectors import Vectors, unit

logger = logging.getLogger(__name__)

A_PAGE = 10_000  # ids listed at once: Weaviate's QUERY_MAXIMUM_RESULTS
NO_VECTOR = "stored without a vector; run clip-ingest on it again"
DISTANCE = MetadataQuery(distance=True)


class Collected(Protocol):
    """Every method raises Unreachable, or VectorizerError with Weaviate's words."""

    def check(self, where: Where) -> None:
        """Raises InputError for a filter that cannot be used, and where another value of a property was meant."""

    def count(self, where: Where) -> int: ...

    def ids(self, where: Where, most: int | None = None) -> Iterator[list[str]]:
        """Of all images, page by page; with `where` perhaps of more than match, so `fetch` gets it too.

        `most`: how many will be needed.
        """

    def fetch(self, ids: Sequence[str], where: Where = None, vectors: bool = True) -> Block:
        """Those of `ids` that are there and match, in the order of `ids`; with their vectors where asked."""

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> Mapping[str, float]:
        """1 - cosine, by id, of those that a search finds."""


class WeaviateCollected:
    """Obeys Collected."""

    def __init__(self, client: WeaviateClient, url: str, searched: Searched) -> None:
        self._collection = at(client.collections.use(searched.collection), searched)
        self._url, self._searched = url, searched

    def check(self, where: Where) -> None:
        """A filter that no image passes is a logged warning, if it can be told why."""
        if self._filter(where) is not None and not self.count(where):
            asked = values_asked(where, self._searched.properties)
            with weaviate_errors(self._url):
                held = {name: values_of(self._collection.aggregate.over_all(**grouping(name))) for name in asked}
            if hint := explain_empty(asked, held):
                logger.warning("%s", hint)

    def count(self, where: Where) -> int:
        with weaviate_errors(self._url):
            answer = self._collection.aggregate.over_all(total_count=True, filters=self._filter(where))
        return answer.total_count or 0

    def ids(self, where: Where, most: int | None = None) -> Iterator[list[str]]:
        """A filter finds 10,000 at most, and Weaviate's cursor takes none: past that the cursor lists everything."""
        filters = self._filter(where)
        if filters is not None and self.count(where) <= A_PAGE:
            yield sorted(self._page(A_PAGE, filters=filters))
            return
        size = A_PAGE if most is None or filters is not None else min(most, A_PAGE)
        after: str | None = None
        while page := self._page(size, after=after):
            yield page
            after = page[-1]

    def _page(self, size: int, **which: Any) -> list[str]:
        """Without properties: else the server reads every object from its disk, with all the images in it."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(limit=size, return_properties=False, **which)
        return [str(row.uuid) for row in found.objects]

    def fetch(self, ids: Sequence[str], where: Where = None, vectors: bool = True) -> Block:
        matching = Filter.by_id().contains_any(list(ids))
        filters = self._filter(where)
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(
                filters=matching if filters is None else matching & filters,
                limit=len(ids),
                include_vector=[self._searched.vector] if vectors else False,
                return_properties=[PATH],
            )
        rows = {str(row.uuid): row for row in found.objects}
        present = [id for id in ids if id in rows]
        paths = [str(rows[id].properties.get(PATH) or id) for id in present]
        if not vectors:
            return Block(present, paths, np.zeros((len(present), 0), dtype=np.float32))
        return block_of(present, paths, [rows[id].vector.get(self._searched.vector) for id in present])

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> Mapping[str, float]:
        """Exact: below 40,000 filtered objects Weaviate compares with every one of them."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_vector(
                vector_d.tolist(),
                limit=len(ids),
                filters=Filter.by_id().contains_any(list(ids)),
                target_vector=self._searched.vector,
                return_metadata=DISTANCE,
                return_properties=False,
            )
        return {str(row.uuid): row.metadata.distance for row in found.objects}

    def _filter(self, where: Where) -> FilterReturn | None:
        return where_filter(where, self._searched.properties)


def block_of(ids: Sequence[str], paths: Sequence[str], vectors: Sequence[Sequence[float] | Vectors | None]) -> Block:
    """Images that lack a vector become errors in their place."""
    dimension = max((len(vector) for vector in vectors if vector is not None), default=0)
    vectors_nd = np.zeros((len(ids), dimension), dtype=np.float32)
    errors: dict[int, str] = {}
    for index, vector in enumerate(vectors):
        if vector is None or len(vector) == 0:
            errors[index] = f"{NO_VECTOR} (id {ids[index]})"
        else:
            vectors_nd[index] = vector
    return Block(ids, paths, unit(vectors_nd), errors)
