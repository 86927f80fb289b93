"""The steps that Ray runs: read, embed, write. They call the stages of `pipeline.py` with batches of items.

Ray sees bytes only, and each batch is a block. A worker that dies is replaced, and its undelivered batches are done
again: the same keys make the same objects, and a batch is delivered once.
"""

import os
import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypedDict

from clip_vectorizer.errors import VectorizerError
from ingest.distributed.cluster import RaySettings
from ingest.distributed.connections import build_patience, make_picklable, open_embedder, open_store_with_retries
from ingest.distributed.duplicates import open_remote_index
from ingest.distributed.parts import SourcePart
from ingest.embed import StoreChange, add_vectors
from ingest.items import ItemOutcome, SourceItem
from ingest.job import IngestJob
from ingest.listing import list_items
from ingest.pipeline import ItemState, drop_image, look_up, split_batches, split_groups
from ingest.prepare import PreparedItem, adapt_to_store, add_input, prepare
from ingest.sources import open_sources
from ingest.sources.base import Source
from ingest.store.base import ImageStore
from ingest.upload import upload


class PackedBatch(TypedDict):
    row: bytes


def read_part(part: SourcePart, job: IngestJob) -> Iterator[PackedBatch]:
    """Yield the packed batches of a part; an error of this project is in the last one."""
    number = -1
    with ExitStack() as stack:
        try:
            threads = stack.enter_context(ThreadPoolExecutor(job.settings.workers))
            reader = PartReader(job, open_store_with_retries(job, stack), threads)
            for row in read_batches(part, open_sources(part.words, job.options), reader):
                number = row.number
                yield pack_batch(row)
        except VectorizerError as error:
            yield pack_batch(ItemBatch(part.number, number + 1, error=make_picklable(error)))


@dataclass(frozen=True, slots=True)
class ItemBatch:
    """The `number`th group of items of a part, and their results so far.

    A part that is read again has the same groups of items, although their results may differ.
    """

    part: int
    number: int
    changes: Sequence[StoreChange] = ()  # without a result so far
    events: Sequence[object] = field(default_factory=list)  # ItemOutcome, ListingProgress, SkippedFile
    is_last: bool = False  # of its part
    error: Exception | None = None  # what ended the run


def read_batches(part: SourcePart, sources: Sequence[Source], reader: "PartReader") -> Iterator[ItemBatch]:
    """Yield the same groups of items each time a part is read, whatever is stored by then; the last one is empty."""
    events: list[object] = []
    number = -1
    items = list_items(sources, part.selection, events.append)
    for number, group in enumerate(split_groups(items, reader.group)):
        yield build_batch(part.number, number, reader.read(group), events)
        events.clear()
    yield ItemBatch(part.number, number + 1, events=events, is_last=True)


class PartReader:
    def __init__(self, job: IngestJob, store: ImageStore, threads: Executor) -> None:
        self._store, self._threads, self._patience = store, threads, build_patience(job)
        self._settings = add_input(adapt_to_store(job.settings.prepare, store), store, not job.embed_here)
        self._checksum = job.settings.checksum
        self.group = job.settings.embed_batch.items  # items in a request to a sidecar

    def read(self, items: Sequence[SourceItem]) -> Sequence[PreparedItem]:
        found = look_up(items, self._store, self._settings, self._checksum, self._patience)
        return list(self._threads.map(self._prepared, found))

    def _prepared(self, found: ItemState | ItemOutcome) -> PreparedItem:
        return found if isinstance(found, ItemOutcome) else prepare(found.item, found.stored, self._settings)


def build_batch(part: int, number: int, made: Sequence[PreparedItem], events: Sequence[object]) -> ItemBatch:
    """Return the batch with the outcomes among its events."""
    changes = [each for each in made if not isinstance(each, ItemOutcome)]
    return ItemBatch(part, number, changes, [*events, *(each for each in made if isinstance(each, ItemOutcome))])


class ClusterStep(ABC):
    """An actor that processes batches. An error of this project travels with its batch to the driver."""

    def __call__(self, packed: PackedBatch) -> PackedBatch:
        row = unpack_batch(packed)
        if row.error or not row.changes:
            return packed
        try:
            return pack_batch(self.work(row))
        except VectorizerError as error:
            return pack_batch(replace(row, changes=(), error=make_picklable(error)))

    @abstractmethod
    def work(self, row: ItemBatch) -> ItemBatch: ...


class EmbedStep(ClusterStep):
    def __init__(self, job: IngestJob, settings: RaySettings, actor: Any) -> None:
        self._open = ExitStack()
        self._job, self._patience, self._twins = job, build_patience(job), open_remote_index(actor)
        self._store = open_store_with_retries(job, self._open)
        self._embedder = open_embedder(job, settings, self._store, os.getpid(), self._open)

    def work(self, row: ItemBatch) -> ItemBatch:
        made = [
            each
            for batch in split_batches(row.changes, self._job.settings.embed_batch)
            for each in add_vectors(batch, self._twins, self._embedder, self._patience)
        ]
        done = build_batch(row.part, row.number, made, row.events)
        return replace(done, changes=[drop_image(change, self._store.keep) for change in done.changes])


class WriteStep(ClusterStep):
    def __init__(self, job: IngestJob) -> None:
        self._open = ExitStack()
        self._batch, self._patience = job.settings.upload_batch, build_patience(job)
        self._store = open_store_with_retries(job, self._open)

    def work(self, row: ItemBatch) -> ItemBatch:
        outcomes = (upload(batch, self._store, self._patience) for batch in split_batches(row.changes, self._batch))
        return replace(row, changes=(), events=[*row.events, *chain.from_iterable(outcomes)])


def pack_batch(row: ItemBatch) -> PackedBatch:
    return {"row": pickle.dumps(row, protocol=5)}


def unpack_batch(packed: PackedBatch) -> ItemBatch:
    row = pickle.loads(packed["row"])
    assert isinstance(row, ItemBatch)
    return row
