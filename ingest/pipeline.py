"""Ingest: images from sources become objects in a store, and a report whose numbers add up.

list -> look up -> read and prepare -> embed -> make regions -> upload -> verify
"""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TypeVar

from ingest.choices import PATIENCE_SECONDS, WORKERS, Keep
from ingest.embed import DuplicateIndex, Embedder, StoreChange, add_vectors
from ingest.items import ImageObject, ItemOutcome, SourceItem, Status, StoredState
from ingest.listing import Selection, list_items
from ingest.prepare import PrepareSettings, adapt_to_store, add_input, is_unchanged, prepare
from ingest.regions import RegionMaker
from ingest.report import IngestReport
from ingest.retry import Patience
from ingest.sources.base import Source
from ingest.stages import Flow, HasHeldBytes, SizeLimit
from ingest.store.base import ImageStore
from ingest.upload import upload

LOOKUP_KEYS = 256  # keys in one request for stored states
LOOKUP_BATCH = SizeLimit(LOOKUP_KEYS, 32_000_000)  # items from a stream occupy memory
LISTED_AHEAD = SizeLimit(80)  # batches
EMBED_BATCH = SizeLimit(64, 12_000_000)
MODULE_BATCH = SizeLimit(32, 9_000_000)  # Weaviate responds when its module has embedded all of them
REGION_BATCH = SizeLimit(16, 16_000_000)  # pictures whose objects are found in one request
UPLOAD_BATCH = SizeLimit(128, 9_000_000)  # a batch takes five times that in memory; gRPC accepts 104,858,000 bytes

LOST_REASON = "Weaviate accepted it, but does not hold it; run the same command again"

ItemT = TypeVar("ItemT")
HeavyT = TypeVar("HeavyT", bound=HasHeldBytes)
IngestListener = Callable[[IngestReport, object], None]


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """How to ingest: what to read, how much at once, how long to retry."""

    workers: int = WORKERS
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    selection: Selection = field(default_factory=Selection)
    checksum: bool = False  # read all files, even those with an unchanged stamp
    patience_seconds: float = PATIENCE_SECONDS
    verify: bool = True
    # Concurrent requests: while one waits for its last image, the other keeps the model or the database busy.
    requests: int = 2
    embed_batch: SizeLimit = EMBED_BATCH
    module_batch: SizeLimit = MODULE_BATCH
    region_batch: SizeLimit = REGION_BATCH
    upload_batch: SizeLimit = UPLOAD_BATCH


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item, and the stored state under its key, if there is one."""

    item: SourceItem
    stored: StoredState | None

    @property
    def held_bytes(self) -> int:
        return self.item.held_bytes


@dataclass(frozen=True, slots=True)
class LookupBatch:
    """Items whose stored states are looked up in one request."""

    items: Sequence[SourceItem]

    @property
    def held_bytes(self) -> int:
        return sum(item.held_bytes for item in self.items)


def ignore_progress(_: IngestReport, __: object) -> None:
    """The default listener: does nothing."""


def ingest(
    sources: Sequence[Source],
    store: ImageStore,
    embedder: Embedder | None = None,
    on_progress: IngestListener = ignore_progress,
    settings: IngestSettings | None = None,
    report: IngestReport | None = None,
    regions: RegionMaker | None = None,
) -> IngestReport:
    """Upload every image of `sources` that `store` does not hold unchanged, and return the report.

    With an `embedder`, objects are sent with their vectors; without one, the store makes them. `regions` makes those of
    `settings.prepare.regions`. `on_progress` is called
    with the report so far and the event that changed it. An image that cannot be used is listed in `failures`; the
    others go on. Raises InputError (a source cannot be read), Mismatch (another model) and Unreachable (the store or
    the sidecar stays away for longer than `patience_seconds`: stored objects remain, and the next run continues).
    """
    settings, report = settings or IngestSettings(), report or IngestReport()
    if not report.seen:  # a later round with the same report continues its count
        report.started = time.monotonic()
    run = IngestRun(sources, store, embedder, settings, regions)
    uploaded: list[ItemOutcome] = []
    with closing(run.events(settings.selection)) as events:  # stop the stages if the listener raises
        for event in events:
            report.take(event)
            on_progress(report, event)
            if isinstance(event, ItemOutcome) and event.sha256:
                uploaded.append(event)
    for outcome in run.resend_lost(uploaded) if settings.verify else ():
        on_progress(report, report.take_back(outcome, LOST_REASON))
    return report


class IngestRun:
    """The stages of one ingest, connected. The work of each stage is a function of its own."""

    def __init__(
        self,
        sources: Sequence[Source],
        store: ImageStore,
        embedder: Embedder | None,
        settings: IngestSettings,
        regions: RegionMaker | None = None,
    ) -> None:
        self._sources, self._store, self._embedder, self._settings = sources, store, embedder, settings
        self._regions = regions
        self._prepare = adapt_to_store(settings.prepare, store)
        self._duplicates = DuplicateIndex(store)

    def events(self, selection: Selection) -> Generator[object]:
        """Run all stages and yield their events as they happen."""
        settings = self._settings
        with Flow() as flow:
            self._flow = flow
            self._patience = Patience(settings.patience_seconds, flow.pause, flow.emit)
            listed = split_batches(list_items(self._sources, selection, flow.emit), LOOKUP_BATCH)
            items = flow.stage(listed, lambda batch: (LookupBatch(batch),), LISTED_AHEAD)
            states = flow.stage(items, self._look_up, SizeLimit(2 * LOOKUP_KEYS), settings.requests)
            changes = flow.stage(states, self._read, SizeLimit(256), settings.workers, background=True)
            batch = settings.embed_batch if self._embedder else settings.module_batch
            ready = flow.stage(split_batches(changes, batch), self._embed, SizeLimit(512), settings.requests)
            if self._regions:
                batches = split_batches(ready, settings.region_batch)
                ready = flow.stage(batches, self._make_regions, SizeLimit(128), settings.requests)
            batch = settings.upload_batch if self._embedder else settings.module_batch
            sent = flow.stage(split_batches(ready, batch), self._upload, SizeLimit(1), settings.requests)
            yield from flow.events(sent)

    @cached_property
    def _prepare_with_input(self) -> PrepareSettings:
        """Where all is unchanged, this is never needed."""
        return add_input(self._prepare, self._store, by_module=self._embedder is None)

    def _look_up(self, batch: LookupBatch) -> Iterator[ItemState]:
        found = list(look_up(batch.items, self._store, self._prepare, self._settings.checksum, self._patience))
        self._flow.emit(*(each for each in found if isinstance(each, ItemOutcome)))
        if to_read := [each for each in found if isinstance(each, ItemState)]:
            _ = self._prepare_with_input  # here, because the threads that read have a low priority
        yield from to_read

    def _read(self, state: ItemState) -> Iterator[StoreChange]:
        result = prepare(state.item, state.stored, self._prepare_with_input)
        if isinstance(result, ItemOutcome):
            self._flow.emit(result)
        else:
            yield result

    def _embed(self, changes: Sequence[StoreChange]) -> Iterator[StoreChange]:
        for result in add_vectors(changes, self._duplicates, self._embedder, self._patience):
            if isinstance(result, ItemOutcome):
                self._flow.emit(result)
            else:
                yield drop_image(result, self._store.keep)

    def _make_regions(self, changes: Sequence[StoreChange]) -> Iterator[StoreChange]:
        assert self._regions is not None
        for result in self._regions.make(changes, self._patience):
            if isinstance(result, ItemOutcome):
                self._flow.emit(result)
            else:
                yield result

    def _upload(self, changes: Sequence[StoreChange]) -> Iterator[ImageObject]:
        changes = [self._duplicates.relink(change) for change in changes]
        outcomes = list(upload(changes, self._store, self._patience))
        if self._regions:  # an image that was refused leaves no regions behind
            made = {change.key for change in changes if change.regions}
            failed = {outcome.key for outcome in outcomes if outcome.status is Status.FAILED}
            self._regions.discard(sorted(made & failed), self._patience)
        self._flow.emit(*outcomes)
        if outdated := self._duplicates.find_outdated(changes):  # replaced since the batch was embedded
            self._patience.call(lambda: self._store.unlink(outdated))
        return iter(())

    def resend_lost(self, uploaded: Sequence[ItemOutcome]) -> list[ItemOutcome]:
        """Delete and resend what the store accepted but does not hold. Return what is still missing."""
        patience = Patience(self._settings.patience_seconds, time.sleep)
        lost = {outcome.key for outcome in find_missing(uploaded, self._store, patience)}
        if lost:
            patience.call(lambda: self._store.delete(sorted(lost)))
            for _ in self.events(replace(self._settings.selection, limit=None, only=lambda item: item.key in lost)):
                pass  # find_missing below checks the store itself
        return list(find_missing([outcome for outcome in uploaded if outcome.key in lost], self._store, patience))


def look_up(
    items: Sequence[SourceItem], store: ImageStore, settings: PrepareSettings, checksum: bool, patience: Patience
) -> Iterator[ItemState | ItemOutcome]:
    """Yield each item with its stored state, or an outcome if it need not be read. One request."""
    held = patience.call(lambda: store.states([item.key for item in items]))
    for item in items:
        state = ItemState(item, held.get(item.key))
        if not checksum and is_unchanged(item, state.stored, settings):
            yield ItemOutcome(item.key, Status.UNCHANGED, source=item.source)
        else:
            yield state


def drop_image(change: StoreChange, keep: Keep) -> StoreChange:
    """Return the change without its image, if that is embedded and need not be stored."""
    if isinstance(change, ImageObject) and change.vector_d is not None and keep is not Keep.FULL:
        return replace(change, image=b"")
    return change


def find_missing(uploaded: Sequence[ItemOutcome], store: ImageStore, patience: Patience) -> Iterator[ItemOutcome]:
    """Yield the outcomes of uploads that the store does not hold."""
    for group in split_groups(uploaded, LOOKUP_KEYS):
        held = patience.call(lambda: store.states([outcome.key for outcome in group]))  # noqa: B023
        for outcome in group:
            now = held.get(outcome.key)
            if now is None or (now.sha256 != outcome.sha256 and store.keep is not Keep.NONE):
                yield outcome


def split_groups(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    """Yield consecutive lists of `size` items; the last may be shorter.

    >>> list(split_groups("abcde", 2))
    [['a', 'b'], ['c', 'd'], ['e']]
    """
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def split_batches(stream: Iterable[HeavyT], limit: SizeLimit) -> Iterator[list[HeavyT]]:
    """Yield consecutive lists within the limit; an item that exceeds it comes alone."""
    batch: list[HeavyT] = []
    size = 0
    for item in stream:
        if batch and (len(batch) >= limit.items or size + item.held_bytes > limit.bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.held_bytes
    if batch:
        yield batch
