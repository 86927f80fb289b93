"""Where the images come from that are classified: files, the hits of a query, or the whole collection.

D dimensions

The images of a collection as classification reads and writes them. D dimensions
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.query import Filter, FilterReturn, MetadataQuery

from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import PATH
from clip_vectorizer.query.connect import select_partition
from clip_vectorizer.query.filters.suggestions import (
    explain_empty,
    group_by_arguments,
    list_filter_values,
    read_group_values,
)
from clip_vectorizer.query.filters.where import FilterInput, build_filter
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.image_inputs import EmbeddedImage, ImageBatchEncoder, ImageInput, embed_images
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.zeroshot.results import ImageBatch
from clip_vectorizer.vectors import Vectors, unit

READ_BATCH_SIZE = 500  # images read by one request
PARALLEL_READS = 3  # requests at once; more only queue up in Weaviate on a small machine
REMOVED = "no longer in the collection"
ID_PAGE_SIZE = 10_000  # ids listed at once: Weaviate's QUERY_MAXIMUM_RESULTS
NO_VECTOR = "stored without a vector; run clip-ingest on it again"
DISTANCE_METADATA = MetadataQuery(distance=True)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class ClassifySource(Protocol):
    @property
    def count(self) -> int:
        """How many images there are, about."""

    @property
    def in_files(self) -> bool:
        """Whether the database does not have them."""

    def blocks(self, vectors: bool) -> Iterator[ImageBatch]:
        """All images, in order; with their vectors where asked. Raises VectorizerError, Unreachable."""


@dataclass(frozen=True, slots=True)
class ClassifiedFiles:
    pictures: Iterable[ImageInput]
    encoder: ImageBatchEncoder
    count: int = 1000  # nobody knows how many an iterator gives
    in_files: bool = True

    def blocks(self, vectors: bool) -> Iterator[ImageBatch]:
        for batch in embed_images(self.pictures, self.encoder):
            yield build_file_batch(batch)


class CollectionReader(Protocol):
    """Every method raises Unreachable, or VectorizerError with Weaviate's words."""

    def check(self, where: FilterInput) -> None:
        """Raises InputError for a filter that cannot be used, and where another value of a property was meant."""

    def count(self, where: FilterInput) -> int: ...

    def ids(self, where: FilterInput, most: int | None = None) -> Iterator[list[str]]:
        """Of all images, page by page; with `where` perhaps of more than match, so `fetch` gets it too.

        `most`: how many will be needed.
        """

    def fetch(self, ids: Sequence[str], where: FilterInput = None, vectors: bool = True) -> ImageBatch:
        """Those of `ids` that are there and match, in the order of `ids`; with their vectors where asked."""

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> Mapping[str, float]:
        """1 - cosine, by id, of those that a search finds."""


@dataclass(frozen=True, slots=True)
class ClassifiedHits:
    hits: Sequence[Hit | StoredImage]
    collected: CollectionReader
    in_files: bool = False

    @property
    def count(self) -> int:
        return len(self.hits)

    def blocks(self, vectors: bool) -> Iterator[ImageBatch]:
        for start in range(0, len(self.hits), READ_BATCH_SIZE):
            yield self._block(self.hits[start : start + READ_BATCH_SIZE], vectors)

    def _block(self, hits: Sequence[Hit | StoredImage], vectors: bool) -> ImageBatch:
        """An image that was removed since is an error in its place."""
        there = self.collected.fetch(list(dict.fromkeys(hit.id for hit in hits)), vectors=vectors)
        place = {id: index for index, id in enumerate(there.ids)}
        known = [place.get(hit.id) for hit in hits]
        rows = [there.vectors_nd[at] if at is not None and at not in there.errors else None for at in known]
        block = build_batch([hit.id for hit in hits], [hit.path for hit in hits], rows)
        reasons = {index: there.errors[at] for index, at in enumerate(known) if at is not None and at in there.errors}
        gone = {index: REMOVED for index, at in enumerate(known) if at is None}
        return replace(block, errors=gone | reasons)


@dataclass(frozen=True, slots=True)
class ClassifiedCollection:
    collected: CollectionReader
    where: FilterInput = None
    most: int | None = None  # no more are needed
    in_files: bool = False

    @property
    def count(self) -> int:
        there = self.collected.count(self.where)
        return there if self.most is None else min(there, self.most)

    def blocks(self, vectors: bool) -> Iterator[ImageBatch]:
        chunks = (chunk for page in self.collected.ids(self.where, self.most) for chunk in split_ids(page))
        blocks = map_ahead(lambda ids: self.collected.fetch(ids, self.where, vectors), chunks)
        yield from (block for block in blocks if len(block))


def split_ids(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + READ_BATCH_SIZE] for start in range(0, len(ids), READ_BATCH_SIZE))


def map_ahead(function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Iterator[ResultT]:
    """In order; some threads work ahead of whoever takes the results, but no further than they can hold."""
    waiting: deque[Future[ResultT]] = deque()
    pool = ThreadPoolExecutor(PARALLEL_READS)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > PARALLEL_READS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def build_file_batch(batch: Sequence[EmbeddedImage]) -> ImageBatch:
    vectors = [image.vector for image in batch]
    width = max((len(vector) for vector in vectors if vector is not None), default=0)
    rows = [np.zeros(width, dtype=np.float32) if vector is None else vector for vector in vectors]
    errors = {index: image.error for index, image in enumerate(batch) if image.vector is None}
    return ImageBatch([""] * len(batch), [image.path for image in batch], unit(np.stack(rows)), errors)


logger = logging.getLogger(__name__)


class WeaviateCollectionReader:
    """Obeys Collected."""

    def __init__(self, client: WeaviateClient, url: str, searched: SearchTarget) -> None:
        self._collection = select_partition(client.collections.use(searched.collection), searched)
        self._url, self._searched = url, searched

    def check(self, where: FilterInput) -> None:
        """A filter that no image passes is a logged warning, if it can be told why."""
        if self._filter(where) is not None and not self.count(where):
            asked = list_filter_values(where, self._searched.properties)
            with weaviate_errors(self._url):
                held = {
                    name: read_group_values(self._collection.aggregate.over_all(**group_by_arguments(name)))
                    for name in asked
                }
            if hint := explain_empty(asked, held):
                logger.warning("%s", hint)

    def count(self, where: FilterInput) -> int:
        with weaviate_errors(self._url):
            answer = self._collection.aggregate.over_all(total_count=True, filters=self._filter(where))
        return answer.total_count or 0

    def ids(self, where: FilterInput, most: int | None = None) -> Iterator[list[str]]:
        """A filter finds 10,000 at most, and Weaviate's cursor takes none: past that the cursor lists everything."""
        filters = self._filter(where)
        if filters is not None and self.count(where) <= ID_PAGE_SIZE:
            yield sorted(self._page(ID_PAGE_SIZE, filters=filters))
            return
        size = ID_PAGE_SIZE if most is None or filters is not None else min(most, ID_PAGE_SIZE)
        after: str | None = None
        while page := self._page(size, after=after):
            yield page
            after = page[-1]

    def _page(self, size: int, **which: Any) -> list[str]:
        """Without properties: else the server reads every object from its disk, with all the images in it."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(limit=size, return_properties=False, **which)
        return [str(row.uuid) for row in found.objects]

    def fetch(self, ids: Sequence[str], where: FilterInput = None, vectors: bool = True) -> ImageBatch:
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
            return ImageBatch(present, paths, np.zeros((len(present), 0), dtype=np.float32))
        return build_batch(present, paths, [rows[id].vector.get(self._searched.vector) for id in present])

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> Mapping[str, float]:
        """Exact: below 40,000 filtered objects Weaviate compares with every one of them."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_vector(
                vector_d.tolist(),
                limit=len(ids),
                filters=Filter.by_id().contains_any(list(ids)),
                target_vector=self._searched.vector,
                return_metadata=DISTANCE_METADATA,
                return_properties=False,
            )
        return {str(row.uuid): row.metadata.distance for row in found.objects}

    def _filter(self, where: FilterInput) -> FilterReturn | None:
        return build_filter(where, self._searched.properties)


def build_batch(
    ids: Sequence[str], paths: Sequence[str], vectors: Sequence[Sequence[float] | Vectors | None]
) -> ImageBatch:
    """Images that lack a vector become errors in their place."""
    dimension = max((len(vector) for vector in vectors if vector is not None), default=0)
    vectors_nd = np.zeros((len(ids), dimension), dtype=np.float32)
    errors: dict[int, str] = {}
    for index, vector in enumerate(vectors):
        if vector is None or len(vector) == 0:
            errors[index] = f"{NO_VECTOR} (id {ids[index]})"
        else:
            vectors_nd[index] = vector
    return ImageBatch(ids, paths, unit(vectors_nd), errors)
