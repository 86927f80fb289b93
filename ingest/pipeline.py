"""Sources in, objects in the store, and a report whose numbers add up: the whole of `clip-ingest`."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from ingest.items import Fate, Fingerprint, ImageFile, ImageObject, Outcome
from ingest.prepare import prepare
from ingest.report import IngestReport
from ingest.sources import Listing, list_sources
from ingest.store import ImageStore
from ingest.uploads import UploadLimits, Uploads

LOOK_UP = 256  # files whose stored state is asked for in one request

Item = TypeVar("Item")
Listener = Callable[[IngestReport], None]


@dataclass(frozen=True, slots=True)
class IngestSettings:
    workers: int = min(8, os.cpu_count() or 1)  # threads that read and decode
    uploads: UploadLimits = field(default_factory=UploadLimits)


def silent(_: IngestReport) -> None:
    """The listener that says nothing."""


def ingest(
    sources: Sequence[Path],
    store: ImageStore,
    on_progress: Listener = silent,
    settings: IngestSettings | None = None,
) -> IngestReport:
    """Brings every image of `sources` into `store`, except those that it holds unchanged.

    `on_progress` gets the report as it grows, once a file. A file that cannot be used is in the report's `failures`
    and stops nothing. Raises InputError (a source that is missing or without images) and Unreachable (the store is
    away for longer than the tries last: what is in stays in, and the next run goes on from there).
    """
    return ingest_listing(list_sources(sources), store, on_progress, settings or IngestSettings())


def ingest_listing(
    listing: Listing, store: ImageStore, on_progress: Listener, settings: IngestSettings
) -> IngestReport:
    report = IngestReport(seen=len(listing.files) + len(listing.failures), skipped=listing.skipped)
    uploaded: list[Outcome] = []
    on_progress(report)
    for outcome in chain(listing.failures, process(listing.files, store, settings)):
        report.count(outcome)
        on_progress(report)
        if outcome.fate in (Fate.ADDED, Fate.UPDATED):
            uploaded.append(outcome)
    for outcome in lost_for_good(uploaded, listing.files, store, settings):
        report.take_back(outcome, "Weaviate took it, but does not hold it; run the same command again")
    on_progress(report)
    return report


def process(files: Sequence[ImageFile], store: ImageStore, settings: IngestSettings) -> Iterator[Outcome]:
    """One outcome a file. Files are read and decoded while others upload; few of them are in memory at a time."""
    decoders = ThreadPoolExecutor(settings.workers, thread_name_prefix="decode")
    uploads = Uploads(store, settings.uploads)
    try:
        for made in prepared(files, store, decoders, window=2 * settings.workers):
            if isinstance(made, ImageObject):
                yield from uploads.add(made)
            else:
                yield made
        yield from uploads.finish()
    finally:
        decoders.shutdown(wait=True, cancel_futures=True)
        uploads.close()


def prepared(
    files: Sequence[ImageFile], store: ImageStore, decoders: ThreadPoolExecutor, window: int
) -> Iterator[ImageObject | Outcome]:
    """What `prepare` makes of each file, in order, at most `window` of them ahead of the caller."""
    ahead: deque[Future[ImageObject | Outcome]] = deque()
    for file, held in with_held(files, store):
        ahead.append(decoders.submit(prepare, file, held, store.model))
        if len(ahead) >= window:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def with_held(files: Sequence[ImageFile], store: ImageStore) -> Iterator[tuple[ImageFile, Fingerprint | None]]:
    for group in groups(files, LOOK_UP):
        held = store.held([file.key for file in group])
        yield from ((file, held.get(file.key)) for file in group)


def lost_for_good(
    uploaded: Sequence[Outcome], files: Sequence[ImageFile], store: ImageStore, settings: IngestSettings
) -> list[Outcome]:
    """Of what was sent, what the store does not hold even after it was removed and sent once more."""
    lost = {outcome.key for outcome in not_held(uploaded, store)}
    if lost:
        store.forget(sorted(lost))
        for _ in process([file for file in files if file.key in lost], store, settings):
            pass  # the store, asked again below, tells more than the outcome
    return list(not_held([outcome for outcome in uploaded if outcome.key in lost], store))


def not_held(uploaded: Sequence[Outcome], store: ImageStore) -> Iterator[Outcome]:
    for group in groups(uploaded, LOOK_UP):
        held = store.held([outcome.key for outcome in group])
        for outcome in group:
            now = held.get(outcome.key)
            if now is None or now.sha256 != outcome.sha256:
                yield outcome


def groups(items: Sequence[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while group := list(islice(rest, size)):
        yield group
