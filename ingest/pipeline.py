"""Sources in, objects in the store, and a report whose numbers add up: the whole of `clip-ingest`."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from ingest.choices import Keep
from ingest.embed import DuplicateIndex, Embedder, StoreChange, add_vectors
from ingest.items import ImageObject, ItemOutcome, SourceItem, Status, StoredState
from ingest.listing import Selection, list_items
from ingest.prepare import PrepareSettings, is_unchanged, prepare
from ingest.report import IngestReport
from ingest.retry import Patience
from ingest.sources.base import Source
from ingest.stages import Flow, HasHeldBytes, SizeLimit
from ingest.store.base import ImageStore
from ingest.upload import upload

LOOKUP_KEYS = 256  # keys whose stored state is asked for in one request
LOOKUP_BATCH = SizeLimit(LOOKUP_KEYS, 32_000_000)  # what comes out of a stream is held in memory
EMBED_BATCH = SizeLimit(64, 12_000_000)
MODULE_BATCH = SizeLimit(32, 9_000_000)  # Weaviate answers when its module has embedded the last of them
UPLOAD_BATCH = SizeLimit(128, 9_000_000)  # in memory a batch takes five times that, and gRPC takes 104,858,000 bytes

ItemT = TypeVar("ItemT")
HeavyT = TypeVar("HeavyT", bound=HasHeldBytes)
IngestListener = Callable[[IngestReport, object], None]


@dataclass(frozen=True, slots=True)
class IngestSettings:
    workers: int = min(8, os.cpu_count() or 1)  # threads that read and decode
    prepare: PrepareSettings = field(default_factory=PrepareSettings)
    selection: Selection = field(default_factory=Selection)
    checksum: bool = False  # read everything, whatever sizes and times say
    patience_seconds: float = 300.0  # a database that restarts, a sidecar that loads another model
    verify: bool = True
    # Requests at once: while one waits for its last image, the other keeps the model or the database busy.
    requests: int = 2
    embed_batch: SizeLimit = EMBED_BATCH
    module_batch: SizeLimit = MODULE_BATCH
    upload_batch: SizeLimit = UPLOAD_BATCH


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item and what the database has under its key."""

    item: SourceItem
    held: StoredState | None

    @property
    def held_bytes(self) -> int:
        return self.item.held_bytes


def ignore_progress(_: IngestReport, __: object) -> None:
    """The listener that says nothing."""


def ingest(
    sources: Sequence[Source],
    store: ImageStore,
    embedder: Embedder | None = None,
    on_progress: IngestListener = ignore_progress,
    settings: IngestSettings | None = None,
    report: IngestReport | None = None,
) -> IngestReport:
    """Brings every image of `sources` into `store`, except those that it holds unchanged.

    With an `embedder` objects are sent with their vectors; without, the store makes them. `on_progress` gets the
    report as it grows, with what has just happened. An image that cannot be used is in the report's `failures` and
    stops nothing. Raises InputError (a source that cannot be read) and Unreachable (store or sidecar are away for
    longer than patience lasts: what is in stays in, and the next run goes on from there).
    """
    settings, report = settings or IngestSettings(), report or IngestReport()
    if not report.seen:  # a later round of the same report goes on counting
        report.started = time.monotonic()
    run = IngestRun(sources, store, embedder, settings)
    uploaded: list[ItemOutcome] = []
    with closing(run.events(settings.selection)) as events:  # a listener that raises must end the stages too
        for event in events:
            report.take(event)
            on_progress(report, event)
            if isinstance(event, ItemOutcome) and event.sha256:
                uploaded.append(event)
    for outcome in run.lost_for_good(uploaded) if settings.verify else ():
        reason = "Weaviate took it, but does not hold it; run the same command again"
        on_progress(report, report.take_back(outcome, reason))
    return report


class IngestRun:
    """The stages, wired. Each may be read as a function of its own."""

    def __init__(
        self, sources: Sequence[Source], store: ImageStore, embedder: Embedder | None, settings: IngestSettings
    ) -> None:
        self._sources, self._store, self._embedder, self._settings = sources, store, embedder, settings
        self._prepare = replace(settings.prepare, keep=store.keep)
        self._twins = DuplicateIndex(store)

    def events(self, selection: Selection) -> Generator[object]:
        """Runs it all. What happens to each item, as it happens."""
        settings = self._settings
        with Flow() as flow:
            self._flow = flow
            self._patience = Patience(settings.patience_seconds, flow.pause, flow.tell)
            items = flow.stage(list_items(self._sources, selection, flow.tell), lambda item: (item,), SizeLimit(20_000))
            known = flow.stage(
                split_batches(items, LOOKUP_BATCH), self._look_up, SizeLimit(2 * LOOKUP_KEYS), settings.requests
            )
            made = flow.stage(known, self._read, SizeLimit(256), settings.workers, background=True)
            batch = settings.embed_batch if self._embedder else settings.module_batch
            ready = flow.stage(split_batches(made, batch), self._embed, SizeLimit(512), settings.requests)
            batch = settings.upload_batch if self._embedder else settings.module_batch
            sent = flow.stage(split_batches(ready, batch), self._upload, SizeLimit(1), settings.requests)
            yield from flow.events(sent)

    def _look_up(self, items: Sequence[SourceItem]) -> Iterator[ItemState]:
        for found in look_up(items, self._store, self._prepare, self._settings.checksum, self._patience):
            if isinstance(found, ItemOutcome):
                self._flow.tell(found)
            else:
                yield found

    def _read(self, known: ItemState) -> Iterator[StoreChange]:
        made = prepare(known.item, known.held, self._prepare)
        if isinstance(made, ItemOutcome):
            self._flow.tell(made)
        else:
            yield made

    def _embed(self, changes: Sequence[StoreChange]) -> Iterator[StoreChange]:
        for made in add_vectors(changes, self._twins, self._embedder, self._patience):
            if isinstance(made, ItemOutcome):
                self._flow.tell(made)
            else:
                yield drop_image(made, self._store.keep)

    def _upload(self, changes: Sequence[StoreChange]) -> Iterator[ImageObject]:
        changes = [self._twins.relinked(change) for change in changes]
        for outcome in upload(changes, self._store, self._patience):
            self._flow.tell(outcome)
        if outdated := self._twins.outdated(changes):  # in the meantime
            self._patience.call(lambda: self._store.unlink(outdated))
        return iter(())

    def lost_for_good(self, uploaded: Sequence[ItemOutcome]) -> list[ItemOutcome]:
        """Of what was sent, what the store does not hold even after it was removed and sent once more."""
        patience = Patience(self._settings.patience_seconds, time.sleep)
        lost = {outcome.key for outcome in find_missing(uploaded, self._store, patience)}
        if lost:
            patience.call(lambda: self._store.forget(sorted(lost)))
            for _ in self.events(replace(self._settings.selection, limit=None, only=lambda item: item.key in lost)):
                pass  # the store, asked again below, tells more than the outcome
        return list(find_missing([outcome for outcome in uploaded if outcome.key in lost], self._store, patience))


def look_up(
    items: Sequence[SourceItem], store: ImageStore, settings: PrepareSettings, checksum: bool, patience: Patience
) -> Iterator[ItemState | ItemOutcome]:
    """Each item with what the store has of it, or the outcome where it need not be read. One request."""
    held = patience.call(lambda: store.held([item.key for item in items]))
    for item in items:
        known = ItemState(item, held.get(item.key))
        if not checksum and is_unchanged(item, known.held, settings):
            yield ItemOutcome(item.key, Status.UNCHANGED, source=item.source)
        else:
            yield known


def drop_image(change: StoreChange, keep: Keep) -> StoreChange:
    """Without the image, where it has done what it was needed for."""
    if isinstance(change, ImageObject) and change.vector_d is not None and keep is not Keep.FULL:
        return replace(change, image=b"")
    return change


def find_missing(uploaded: Sequence[ItemOutcome], store: ImageStore, patience: Patience) -> Iterator[ItemOutcome]:
    """Of what was sent, what the store does not hold."""
    for group in split_groups(uploaded, LOOKUP_KEYS):
        held = patience.call(lambda: store.held([outcome.key for outcome in group]))  # noqa: B023
        for outcome in group:
            now = held.get(outcome.key)
            if now is None or (now.sha256 != outcome.sha256 and store.keep is not Keep.NONE):
                yield outcome


def split_groups(items: Iterable[ItemT], size: int) -> Iterator[list[ItemT]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def split_batches(stream: Iterable[HeavyT], bound: SizeLimit) -> Iterator[list[HeavyT]]:
    """Consecutive parts within the bound; an item over it goes alone."""
    batch: list[HeavyT] = []
    size = 0
    for item in stream:
        if batch and (len(batch) >= bound.items or size + item.held_bytes > bound.bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.held_bytes
    if batch:
        yield batch
