"""Sources in, objects in the store, and a report whose numbers add up: the whole of `clip-ingest`."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from ingest.embed import Change, Embedder, Twins, with_vectors
from ingest.flow import Bound, Flow, Weighed
from ingest.items import Fate, Held, ImageObject, Item, Outcome
from ingest.listing import Selection, listed
from ingest.patience import Patience
from ingest.prepare import PrepareSettings, prepare, unchanged
from ingest.report import IngestReport
from ingest.sources.base import Source
from ingest.store import ImageStore, Keep
from ingest.uploads import upload

LOOK_UP = 256  # keys whose stored state is asked for in one request
LOOK_UP_BATCH = Bound(LOOK_UP, 32_000_000)  # what comes out of a stream is held in memory
EMBED_BATCH = Bound(64, 12_000_000)
MODULE_BATCH = Bound(32, 9_000_000)  # Weaviate answers when its module has embedded the last of them
UPLOAD_BATCH = Bound(128, 9_000_000)  # in memory a batch takes five times that, and gRPC takes 104,858,000 bytes

Thing = TypeVar("Thing")
Heavy = TypeVar("Heavy", bound=Weighed)
Listener = Callable[[IngestReport, object], None]


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
    embed_batch: Bound = EMBED_BATCH
    module_batch: Bound = MODULE_BATCH
    upload_batch: Bound = UPLOAD_BATCH


@dataclass(frozen=True, slots=True)
class Known:
    """An item and what the database has under its key."""

    item: Item
    held: Held | None

    @property
    def held_bytes(self) -> int:
        return self.item.held_bytes


def silent(_: IngestReport, __: object) -> None:
    """The listener that says nothing."""


def ingest(
    sources: Sequence[Source],
    store: ImageStore,
    embedder: Embedder | None = None,
    on_progress: Listener = silent,
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
    run = Run(sources, store, embedder, settings)
    uploaded: list[Outcome] = []
    with closing(run.events(settings.selection)) as events:  # a listener that raises must end the stages too
        for event in events:
            report.take(event)
            on_progress(report, event)
            if isinstance(event, Outcome) and event.sha256:
                uploaded.append(event)
    for outcome in run.lost_for_good(uploaded) if settings.verify else ():
        reason = "Weaviate took it, but does not hold it; run the same command again"
        on_progress(report, report.take_back(outcome, reason))
    return report


class Run:
    """The stages, wired. Each may be read as a function of its own."""

    def __init__(
        self, sources: Sequence[Source], store: ImageStore, embedder: Embedder | None, settings: IngestSettings
    ) -> None:
        self._sources, self._store, self._embedder, self._settings = sources, store, embedder, settings
        self._prepare = replace(settings.prepare, keep=store.keep)
        self._twins = Twins(store)

    def events(self, selection: Selection) -> Generator[object]:
        """Runs it all. What happens to each item, as it happens."""
        settings = self._settings
        with Flow() as flow:
            self._flow = flow
            self._patience = Patience(settings.patience_seconds, flow.pause, flow.tell)
            items = flow.stage(listed(self._sources, selection, flow.tell), lambda item: (item,), Bound(20_000))
            known = flow.stage(batches(items, LOOK_UP_BATCH), self._look_up, Bound(2 * LOOK_UP), settings.requests)
            made = flow.stage(known, self._read, Bound(256), settings.workers, background=True)
            batch = settings.embed_batch if self._embedder else settings.module_batch
            ready = flow.stage(batches(made, batch), self._embed, Bound(512), settings.requests)
            batch = settings.upload_batch if self._embedder else settings.module_batch
            sent = flow.stage(batches(ready, batch), self._upload, Bound(1), settings.requests)
            yield from flow.events(sent)

    def _look_up(self, items: Sequence[Item]) -> Iterator[Known]:
        for found in look_up(items, self._store, self._prepare, self._settings.checksum, self._patience):
            if isinstance(found, Outcome):
                self._flow.tell(found)
            else:
                yield found

    def _read(self, known: Known) -> Iterator[Change]:
        made = prepare(known.item, known.held, self._prepare)
        if isinstance(made, Outcome):
            self._flow.tell(made)
        else:
            yield made

    def _embed(self, changes: Sequence[Change]) -> Iterator[Change]:
        for made in with_vectors(changes, self._twins, self._embedder, self._patience):
            if isinstance(made, Outcome):
                self._flow.tell(made)
            else:
                yield lightened(made, self._store.keep)

    def _upload(self, changes: Sequence[Change]) -> Iterator[ImageObject]:
        changes = [self._twins.relinked(change) for change in changes]
        for outcome in upload(changes, self._store, self._patience):
            self._flow.tell(outcome)
        if outdated := self._twins.outdated(changes):  # in the meantime
            self._patience.call(lambda: self._store.unlink(outdated))
        return iter(())

    def lost_for_good(self, uploaded: Sequence[Outcome]) -> list[Outcome]:
        """Of what was sent, what the store does not hold even after it was removed and sent once more."""
        patience = Patience(self._settings.patience_seconds, time.sleep)
        lost = {outcome.key for outcome in not_held(uploaded, self._store, patience)}
        if lost:
            patience.call(lambda: self._store.forget(sorted(lost)))
            for _ in self.events(replace(self._settings.selection, limit=None, only=lambda item: item.key in lost)):
                pass  # the store, asked again below, tells more than the outcome
        return list(not_held([outcome for outcome in uploaded if outcome.key in lost], self._store, patience))


def look_up(
    items: Sequence[Item], store: ImageStore, settings: PrepareSettings, checksum: bool, patience: Patience
) -> Iterator[Known | Outcome]:
    """Each item with what the store has of it, or the outcome where it need not be read. One request."""
    held = patience.call(lambda: store.held([item.key for item in items]))
    for item in items:
        known = Known(item, held.get(item.key))
        if not checksum and unchanged(item, known.held, settings):
            yield Outcome(item.key, Fate.UNCHANGED, source=item.source)
        else:
            yield known


def lightened(change: Change, keep: Keep) -> Change:
    """Without the image, where it has done what it was needed for."""
    if isinstance(change, ImageObject) and change.vector_d is not None and keep is not Keep.FULL:
        return replace(change, image=b"")
    return change


def not_held(uploaded: Sequence[Outcome], store: ImageStore, patience: Patience) -> Iterator[Outcome]:
    """Of what was sent, what the store does not hold."""
    for group in groups(uploaded, LOOK_UP):
        held = patience.call(lambda: store.held([outcome.key for outcome in group]))  # noqa: B023
        for outcome in group:
            now = held.get(outcome.key)
            if now is None or (now.sha256 != outcome.sha256 and store.keep is not Keep.NONE):
                yield outcome


def groups(items: Iterable[Thing], size: int) -> Iterator[list[Thing]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group


def batches(stream: Iterable[Heavy], bound: Bound) -> Iterator[list[Heavy]]:
    """Consecutive parts within the bound; an item over it goes alone."""
    batch: list[Heavy] = []
    size = 0
    for item in stream:
        if batch and (len(batch) >= bound.items or size + item.held_bytes > bound.bytes):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.held_bytes
    if batch:
        yield batch
