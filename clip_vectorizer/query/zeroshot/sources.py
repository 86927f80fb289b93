"""Where the images come from that are classified: files, the hits of a query, or the whole collection.

D dimensions
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from clip_vectorizer.query.filters.where import Where
from clip_vectorizer.query.hits import Hit, Listed
from clip_vectorizer.query.pictures import ImageEncoder, Picture, embedded_pictures
from clip_vectorizer.query.zeroshot.collection import Collected, block_of
from clip_vectorizer.query.zeroshot.results import Block, Embedded
from clip_vectorizer.vectors import unit

A_BLOCK = 500  # images read by one request
READERS = 3  # requests at once; more only queue up in Weaviate on a small machine
GONE = "no longer in the collection"

Item = TypeVar("Item")
Result = TypeVar("Result")


class Source(Protocol):
    @property
    def count(self) -> int:
        """How many images there are, about."""

    @property
    def in_files(self) -> bool:
        """Whether the database does not have them."""

    def blocks(self, vectors: bool) -> Iterator[Block]:
        """All images, in order; with their vectors where asked. Raises VectorizerError, Unreachable."""


@dataclass(frozen=True, slots=True)
class Files:
    pictures: Iterable[Picture]
    encoder: ImageEncoder
    count: int = 1000  # nobody knows how many an iterator gives
    in_files: bool = True

    def blocks(self, vectors: bool) -> Iterator[Block]:
        for batch in embedded_pictures(self.pictures, self.encoder):
            yield block_of_files(batch)


@dataclass(frozen=True, slots=True)
class Hits:
    hits: Sequence[Hit | Listed]
    collected: Collected
    in_files: bool = False

    @property
    def count(self) -> int:
        return len(self.hits)

    def blocks(self, vectors: bool) -> Iterator[Block]:
        for start in range(0, len(self.hits), A_BLOCK):
            yield self._block(self.hits[start : start + A_BLOCK], vectors)

    def _block(self, hits: Sequence[Hit | Listed], vectors: bool) -> Block:
        """An image that was removed since is an error in its place."""
        there = self.collected.fetch(list(dict.fromkeys(hit.id for hit in hits)), vectors=vectors)
        place = {id: index for index, id in enumerate(there.ids)}
        known = [place.get(hit.id) for hit in hits]
        rows = [there.vectors_nd[at] if at is not None and at not in there.errors else None for at in known]
        block = block_of([hit.id for hit in hits], [hit.path for hit in hits], rows)
        reasons = {index: there.errors[at] for index, at in enumerate(known) if at is not None and at in there.errors}
        gone = {index: GONE for index, at in enumerate(known) if at is None}
        return replace(block, errors=gone | reasons)


@dataclass(frozen=True, slots=True)
class Everything:
    collected: Collected
    where: Where = None
    most: int | None = None  # no more are needed
    in_files: bool = False

    @property
    def count(self) -> int:
        there = self.collected.count(self.where)
        return there if self.most is None else min(there, self.most)

    def blocks(self, vectors: bool) -> Iterator[Block]:
        chunks = (chunk for page in self.collected.ids(self.where, self.most) for chunk in cut(page))
        blocks = ahead(lambda ids: self.collected.fetch(ids, self.where, vectors), chunks)
        yield from (block for block in blocks if len(block))


def cut(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + A_BLOCK] for start in range(0, len(ids), A_BLOCK))


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """In order; some threads work ahead of whoever takes the results, but no further than they can hold."""
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(READERS)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > READERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def block_of_files(batch: Sequence[Embedded]) -> Block:
    vectors = [image.vector for image in batch]
    width = max((len(vector) for vector in vectors if vector is not None), default=0)
    rows = [np.zeros(width, dtype=np.float32) if vector is None else vector for vector in vectors]
    errors = {index: image.error for index, image in enumerate(batch) if image.vector is None}
    return Block([""] * len(batch), [image.path for image in batch], unit(np.stack(rows)), errors)
