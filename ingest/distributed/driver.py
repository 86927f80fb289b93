"""`clip-ingest` on a cluster: parts of the sources in, one report out, although workers may die."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from clip_vectorizer.errors import InputError, VectorizerError
from ingest.choices import SINGLE_PROCESS_OPTIONS
from ingest.distributed.cluster import RaySettings, connect_cluster, format_ray_error
from ingest.distributed.connections import list_sidecar_urls
from ingest.distributed.duplicates import DuplicateIndexActor
from ingest.distributed.parts import SourcePart, make_root_absolute, split_sources
from ingest.distributed.steps import ItemBatch
from ingest.distributed.wiring import find_lost, run_steps
from ingest.embedded import LocalSidecar
from ingest.items import ItemOutcome, SourceItem
from ingest.job import IngestJob, check_images_found, finish_round, open_target
from ingest.listing import ListingProgress
from ingest.pipeline import LOST_REASON, IngestListener, ignore_progress
from ingest.report import IngestReport
from ingest.store.base import ImageStore


def ingest_with_ray(
    job: IngestJob,
    settings: RaySettings | None = None,
    listener: IngestListener = ignore_progress,
    report: IngestReport | None = None,
) -> IngestReport:
    """Do what `ingest.job.run_job` does for a job with `embed_here`, on all machines of a Ray cluster.

    The machines must reach Weaviate and the sidecars, and the sources under the same names. Fills `report`, also when
    an error ends the run: stored objects remain, and the same call continues. Raises what `ingest` raises, and
    VectorizerError if Ray fails.
    """
    report = report or IngestReport()
    run_with_ray(job, report, listener, settings or RaySettings())
    return report


def run_with_ray(job: IngestJob, report: IngestReport, listener: IngestListener, settings: RaySettings) -> str:
    """Do the same for a command, and return the name of the model."""
    job = build_cluster_job(job, settings)
    parts = split_sources(job, settings.parts)
    with ExitStack() as stack:
        store = stack.enter_context(open_checked_store(job, settings))
        ray = stack.enter_context(connect_cluster(settings))
        try:
            run_parts(ray, job, settings, parts, BatchTally(parts, report, listener), store)
        except ray.exceptions.RayError as error:
            raise VectorizerError(
                f"Ray failed; run the same command again to continue ({format_ray_error(error)})"
            ) from error
        check_images_found(job, report)
        finish_round(job, (), store, report)
    return store.model.model


def build_cluster_job(job: IngestJob, settings: RaySettings) -> IngestJob:
    """Return the job as every machine understands it. Raises InputError for options that need a single process."""
    for option, attribute in SINGLE_PROCESS_OPTIONS.items():
        if attrgetter(attribute)(job):
            raise InputError(f"{option} does not work with Ray; remove it, or run in one process")
    (url, *_) = list_sidecar_urls(job, settings)
    return replace(
        job,
        embed_here=True,
        options=make_root_absolute(job.options),
        connection=replace(job.connection, vectorizer_url=url),
    )


@dataclass(slots=True)
class BatchTally:
    """Counts the batches that come back: each once, and none may be missing."""

    parts: Sequence[SourcePart]
    report: IngestReport
    listener: IngestListener
    sent: list[bytes] = field(default_factory=list)  # pickled lists of outcomes: a fifth of their size in memory
    _rows: dict[int, set[int]] = field(default_factory=dict)  # by part
    _ends: dict[int, int] = field(default_factory=dict)  # the number of the last batch, by part

    def take(self, row: ItemBatch) -> None:
        """Count a batch, once if it comes twice. Raises the error that ended it."""
        rows = self._rows.setdefault(row.part, set())
        if row.number in rows:
            return
        rows.add(row.number)
        for event in row.events:
            self._emit(event)
        if uploaded := [event for event in row.events if isinstance(event, ItemOutcome) and event.sha256]:
            self.sent.append(pickle.dumps(uploaded))
        if row.error:
            raise row.error
        if row.is_last:
            self._ends[row.part] = row.number
            if len(self._ends) == len(self.parts):
                self._emit(ListingProgress(0, complete=True))

    def check(self) -> None:
        """Raise VectorizerError if a batch is missing."""
        for part in self.parts:
            end = self._ends.get(part.number)
            if end is None or len(self._rows[part.number]) != end + 1:
                raise VectorizerError(
                    "Ray lost images on the way; run the same command again to ingest what is missing"
                )

    def take_back(self, lost: Sequence[ItemOutcome]) -> None:
        for outcome in lost:
            self.listener(self.report, self.report.take_back(outcome, LOST_REASON))

    def _emit(self, event: object) -> None:
        if event == ListingProgress(0, complete=True) and len(self._ends) < len(self.parts):
            return  # the listing of one part has ended, not of all
        self.report.take(event)
        self.listener(self.report, event)


def run_parts(
    ray: Any, job: IngestJob, settings: RaySettings, parts: Sequence[SourcePart], tally: BatchTally, store: ImageStore
) -> None:
    actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=4)(DuplicateIndexActor).remote(
        job
    )
    for row in run_steps(ray, parts, job, settings, actor):
        tally.take(row)
    tally.check()
    if job.settings.verify:
        tally.take_back(resend_lost(ray, job, settings, parts, tally.sent, store, actor))
    ray.kill(actor)


def resend_lost(
    ray: Any,
    job: IngestJob,
    settings: RaySettings,
    parts: Sequence[SourcePart],
    sent: Sequence[bytes],
    store: ImageStore,
    actor: Any,
) -> list[ItemOutcome]:
    """Delete and resend what the store accepted but does not hold. Return what is still missing."""
    lost = find_lost(ray, job, sent)
    if not lost:
        return []
    only = KeySelection(frozenset(outcome.key for outcome in lost))
    store.delete(sorted(only.keys))
    for row in run_steps(ray, [part.chosen_by(only.has) for part in parts], job, settings, actor):
        if row.error:
            raise row.error
    return find_lost(ray, job, [pickle.dumps(lost)])


@dataclass(frozen=True, slots=True)
class KeySelection:
    keys: frozenset[str]

    def has(self, found: SourceItem | ItemOutcome) -> bool:
        return found.key in self.keys


@contextmanager
def open_checked_store(job: IngestJob, settings: RaySettings) -> Iterator[ImageStore]:
    """Create or check the collection with the model of the embedders, before they start and all try to create it."""
    with ExitStack() as stack, ExitStack() as needed_once:
        if settings.model:
            url = needed_once.enter_context(LocalSidecar(settings.model)).url
            job = replace(job, connection=replace(job.connection, vectorizer_url=url, vectorizer_api_key=None))
        store = stack.enter_context(open_target(job)).store
        needed_once.close()
        yield store
