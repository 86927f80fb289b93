"""What Ray runs: read, embed, write. The work is that of one process (`pipeline.py`), called with rows of items.

Every row is a block of Ray's. A worker that dies is replaced, and what it had not delivered is done again: the same
keys make the same objects, and a row is delivered once.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain
from typing import Any

from clip_vectorizer.errors import VectorizerError
from ingest.distributed.connections import open_embedder, open_patiently, patience_of, portable
from ingest.distributed.parts import Part
from ingest.distributed.rows import Packed, Row, pack, unpack
from ingest.distributed.settings import RaySettings
from ingest.distributed.twins import at_desk
from ingest.embed import with_vectors
from ingest.items import Item, Outcome
from ingest.job import Job
from ingest.listing import listed
from ingest.pipeline import Known, batches, groups, lightened, look_up
from ingest.prepare import Prepared, prepare
from ingest.sources import open_sources
from ingest.sources.base import Source
from ingest.store import ImageStore
from ingest.uploads import upload


def read_part(part: Part, job: Job) -> Iterator[Packed]:
    """The rows of a part, packed. An error of ours is the last row."""
    number = -1
    with ExitStack() as until:
        try:
            threads = until.enter_context(ThreadPoolExecutor(job.settings.workers))
            reader = Reader(job, open_patiently(job, until), threads)
            for row in rows_of_part(part, open_sources(part.words, job.options), reader):
                number = row.number
                yield pack(row)
        except VectorizerError as error:
            yield pack(Row(part.number, number + 1, error=portable(error)))


def rows_of_part(part: Part, sources: Sequence[Source], reader: "Reader") -> Iterator[Row]:
    """The same groups of items whenever a part is read again, whatever the store has by then. The last one has none."""
    told: list[object] = []
    number = -1
    items = listed(sources, part.selection, told.append)
    for number, group in enumerate(groups(items, reader.group)):
        yield row_of(part.number, number, reader.read(group), told)
        told.clear()
    yield Row(part.number, number + 1, events=told, is_last=True)


class Reader:
    def __init__(self, job: Job, store: ImageStore, threads: Executor) -> None:
        self._store, self._threads, self._patience = store, threads, patience_of(job)
        self._settings = replace(job.settings.prepare, keep=store.keep)
        self._checksum = job.settings.checksum
        self.group = job.settings.embed_batch.items  # what a sidecar is asked for at once

    def read(self, items: Sequence[Item]) -> Sequence[Prepared]:
        found = look_up(items, self._store, self._settings, self._checksum, self._patience)
        return list(self._threads.map(self._prepared, found))

    def _prepared(self, found: Known | Outcome) -> Prepared:
        return found if isinstance(found, Outcome) else prepare(found.item, found.held, self._settings)


def row_of(part: int, number: int, made: Sequence[Prepared], told: Sequence[object]) -> Row:
    """What is decided goes to the events."""
    changes = [each for each in made if not isinstance(each, Outcome)]
    return Row(part, number, changes, [*told, *(each for each in made if isinstance(each, Outcome))])


class Step(ABC):
    """An actor that turns a row into the next step's. An error of ours goes on with the row, to whoever asked."""

    def __call__(self, packed: Packed) -> Packed:
        row = unpack(packed)
        if row.error or not row.changes:
            return packed
        try:
            return pack(self.work(row))
        except VectorizerError as error:
            return pack(replace(row, changes=(), error=portable(error)))

    @abstractmethod
    def work(self, row: Row) -> Row: ...


class Embed(Step):
    def __init__(self, job: Job, settings: RaySettings, desk: Any) -> None:
        self._open = ExitStack()
        self._job, self._patience, self._twins = job, patience_of(job), at_desk(desk)
        self._store = open_patiently(job, self._open)
        self._embedder = open_embedder(job, settings, self._store, os.getpid(), self._open)

    def work(self, row: Row) -> Row:
        made = [
            each
            for batch in batches(row.changes, self._job.settings.embed_batch)
            for each in with_vectors(batch, self._twins, self._embedder, self._patience)
        ]
        done = row_of(row.part, row.number, made, row.events)
        return replace(done, changes=[lightened(change, self._store.keep) for change in done.changes])


class Write(Step):
    def __init__(self, job: Job) -> None:
        self._open = ExitStack()
        self._batch, self._patience = job.settings.upload_batch, patience_of(job)
        self._store = open_patiently(job, self._open)

    def work(self, row: Row) -> Row:
        outcomes = (upload(batch, self._store, self._patience) for batch in batches(row.changes, self._batch))
        return replace(row, changes=(), events=[*row.events, *chain.from_iterable(outcomes)])
