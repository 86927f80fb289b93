"""Sources of the images to classify: files, the hits of a search, or the whole collection. D dimensions"""

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import numpy as np
from weaviate import WeaviateClient
from weaviate.classes.query import Filter, FilterReturn

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard
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
from clip_vectorizer.query.labels.label_store import DISTANCE_METADATA
from clip_vectorizer.query.search.calls import SearchTarget
from clip_vectorizer.query.zeroshot.scores import ImageBatch
from clip_vectorizer.vectors import Vectors, unit

logger = logging.getLogger(__name__)

READ_BATCH_SIZE = 500  # images read by one request
PARALLEL_READS = 3  # more requests only queue up in Weaviate on a small machine
ID_PAGE_SIZE = 10_000  # ids listed by one request: Weaviate's QUERY_MAXIMUM_RESULTS
REMOVED = "no longer in the collection"
NO_VECTOR = "stored without a vector; run clip-ingest on it again"

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class ClassifySource(Protocol):
    @property
    def count(self) -> int:
        """Number of images, estimated."""

    @property
    def in_files(self) -> bool:
        """Whether the images are files, outside the database."""

    def batches(self, vectors: bool) -> Iterator[ImageBatch]:
        """Yield all images in order; with vectors if `vectors`. Raises VectorizerError, Unreachable."""


class CollectionReader(Protocol):
    """Every method raises Unreachable, or VectorizerError with Weaviate's message."""

    def check(self, filters: FilterInput) -> None:
        """Raise InputError for an invalid filter, and for a value that no image has but that is near another one."""

    def count(self, filters: FilterInput) -> int: ...

    def ids(self, filters: FilterInput, limit: int | None = None) -> Iterator[list[str]]:
        """Yield the ids of all images, page by page.

        With `filters` possibly more than match, so pass them to `fetch` too. `limit`: how many will be needed.
        """

    def fetch(self, ids: Sequence[str], filters: FilterInput = None, vectors: bool = True) -> ImageBatch:
        """Return those of `ids` that exist and match, in the order of `ids`; with vectors if `vectors`."""

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> Mapping[str, float]:
        """Return 1 - cosine by id, for those that a search finds."""


@dataclass(frozen=True, slots=True)
class ClassifiedFiles:
    images: Iterable[ImageInput]
    encoder: ImageBatchEncoder
    guard: AddressGuard = PUBLIC_ONLY
    count: int = 1000  # the length of an iterator is unknown
    in_files: bool = True

    def batches(self, vectors: bool) -> Iterator[ImageBatch]:
        for images in embed_images(self.images, self.encoder, self.guard):
            yield build_file_batch(images)


def build_file_batch(images: Sequence[EmbeddedImage]) -> ImageBatch:
    vectors = [image.vector for image in images]
    width = max((len(vector) for vector in vectors if vector is not None), default=0)
    rows = [np.zeros(width, dtype=np.float32) if vector is None else vector for vector in vectors]
    errors = {index: image.error for index, image in enumerate(images) if image.vector is None}
    return ImageBatch([""] * len(images), [image.path for image in images], unit(np.stack(rows)), errors)


@dataclass(frozen=True, slots=True)
class ClassifiedHits:
    hits: Sequence[Hit | StoredImage]
    collection: CollectionReader
    in_files: bool = False

    @property
    def count(self) -> int:
        return len(self.hits)

    def batches(self, vectors: bool) -> Iterator[ImageBatch]:
        for start in range(0, len(self.hits), READ_BATCH_SIZE):
            yield self._read(self.hits[start : start + READ_BATCH_SIZE], vectors)

    def _read(self, hits: Sequence[Hit | StoredImage], vectors: bool) -> ImageBatch:
        """One batch; a hit that was removed in the meantime becomes an error in its place."""
        read = self.collection.fetch(list(dict.fromkeys(hit.id for hit in hits)), vectors=vectors)
        row_by_id = {id: row for row, id in enumerate(read.ids)}
        rows = [row_by_id.get(hit.id) for hit in hits]
        hit_vectors = [read.vectors_nd[row] if row is not None and row not in read.errors else None for row in rows]
        batch = build_batch([hit.id for hit in hits], [hit.path for hit in hits], hit_vectors)
        errors = {index: read.errors[row] for index, row in enumerate(rows) if row is not None and row in read.errors}
        removed = {index: REMOVED for index, row in enumerate(rows) if row is None}
        return replace(batch, errors=removed | errors)


@dataclass(frozen=True, slots=True)
class ClassifiedCollection:
    collection: CollectionReader
    filters: FilterInput = None
    limit: int | None = None
    in_files: bool = False

    @property
    def count(self) -> int:
        total = self.collection.count(self.filters)
        return total if self.limit is None else min(total, self.limit)

    def batches(self, vectors: bool) -> Iterator[ImageBatch]:
        pages = self.collection.ids(self.filters, self.limit)
        chunks = (chunk for page in pages for chunk in split_ids(page))
        batches = map_ahead(lambda ids: self.collection.fetch(ids, self.filters, vectors), chunks)
        yield from (batch for batch in batches if len(batch))


def split_ids(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + READ_BATCH_SIZE] for start in range(0, len(ids), READ_BATCH_SIZE))


def map_ahead(function: Callable[[ItemT], ResultT], items: Iterable[ItemT]) -> Generator[ResultT]:
    """Yield function(item) in order; at most PARALLEL_READS calls run ahead of the consumer, in threads."""
    pending: deque[Future[ResultT]] = deque()
    pool = ThreadPoolExecutor(PARALLEL_READS)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > PARALLEL_READS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class WeaviateCollectionReader:
    """A CollectionReader in Weaviate."""

    def __init__(self, client: WeaviateClient, url: str, target: SearchTarget) -> None:
        self._collection = select_partition(client.collections.use(target.collection), target)
        self._url, self._target = url, target

    def check(self, filters: FilterInput) -> None:
        """Log a warning for a filter that no image passes, if the reason can be found."""
        if self._build_filter(filters) is not None and not self.count(filters):
            wanted = list_filter_values(filters, self._target.properties)
            with weaviate_errors(self._url):
                existing = {
                    name: read_group_values(self._collection.aggregate.over_all(**group_by_arguments(name)))
                    for name in wanted
                }
            if hint := explain_empty(wanted, existing):
                logger.warning("%s", hint)

    def count(self, filters: FilterInput) -> int:
        with weaviate_errors(self._url):
            answer = self._collection.aggregate.over_all(total_count=True, filters=self._build_filter(filters))
        return answer.total_count or 0

    def ids(self, filters: FilterInput, limit: int | None = None) -> Iterator[list[str]]:
        """A filtered query returns 10,000 at most, and Weaviate's cursor takes no filter: beyond, list everything."""
        condition = self._build_filter(filters)
        if condition is not None and self.count(filters) <= ID_PAGE_SIZE:
            yield sorted(self._page(ID_PAGE_SIZE, filters=condition))
            return
        size = ID_PAGE_SIZE if limit is None or condition is not None else min(limit, ID_PAGE_SIZE)
        after: str | None = None
        while page := self._page(size, after=after):
            yield page
            after = page[-1]

    def _page(self, size: int, **selection: Any) -> list[str]:
        """Without properties: otherwise the server reads every object from disk, including its image."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(limit=size, return_properties=False, **selection)
        return [str(row.uuid) for row in found.objects]

    def fetch(self, ids: Sequence[str], filters: FilterInput = None, vectors: bool = True) -> ImageBatch:
        by_id = Filter.by_id().contains_any(list(ids))
        condition = self._build_filter(filters)
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(
                filters=by_id if condition is None else by_id & condition,
                limit=len(ids),
                include_vector=[self._target.vector] if vectors else False,
                return_properties=[PATH],
            )
        rows = {str(row.uuid): row for row in found.objects}
        present = [id for id in ids if id in rows]
        paths = [str(rows[id].properties.get(PATH) or id) for id in present]
        if not vectors:
            return ImageBatch(present, paths, np.zeros((len(present), 0), dtype=np.float32))
        return build_batch(present, paths, [rows[id].vector.get(self._target.vector) for id in present])

    def distances(self, vector_d: Vectors, ids: Sequence[str]) -> Mapping[str, float]:
        """Exact: below 40,000 filtered objects Weaviate compares with every one of them."""
        with weaviate_errors(self._url):
            found = self._collection.query.near_vector(
                vector_d.tolist(),
                limit=len(ids),
                filters=Filter.by_id().contains_any(list(ids)),
                target_vector=self._target.vector,
                return_metadata=DISTANCE_METADATA,
                return_properties=False,
            )
        return {str(row.uuid): row.metadata.distance for row in found.objects}

    def _build_filter(self, filters: FilterInput) -> FilterReturn | None:
        return build_filter(filters, self._target.properties)


def build_batch(
    ids: Sequence[str], paths: Sequence[str], vectors: Sequence[Sequence[float] | Vectors | None]
) -> ImageBatch:
    """Images without a vector become errors in their place."""
    dimension = max((len(vector) for vector in vectors if vector is not None), default=0)
    vectors_nd = np.zeros((len(ids), dimension), dtype=np.float32)
    errors: dict[int, str] = {}
    for index, vector in enumerate(vectors):
        if vector is None or len(vector) == 0:
            errors[index] = f"{NO_VECTOR} (id {ids[index]})"
        else:
            vectors_nd[index] = vector
    return ImageBatch(ids, paths, unit(vectors_nd), errors)
