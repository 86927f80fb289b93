"""`clip-ingest` on a cluster: parts of the sources in, one report out, whatever dies on the way."""

import pickle
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from clip_vectorizer.errors import InputError, VectorizerError
from ingest.distributed.cluster import cluster, said
from ingest.distributed.connections import urls_of
from ingest.distributed.flow import rows_of, still_lost
from ingest.distributed.parts import Part, everywhere, parts_of
from ingest.distributed.settings import RaySettings
from ingest.distributed.tally import Tally
from ingest.distributed.twins import Desk
from ingest.embedded import LocalSidecar
from ingest.items import Item, Outcome
from ingest.job import Job, finish, refuse_nothing, target
from ingest.pipeline import Listener, silent
from ingest.report import IngestReport
from ingest.store import ImageStore


def ingest_with_ray(
    job: Job, settings: RaySettings | None = None, listener: Listener = silent, report: IngestReport | None = None
) -> IngestReport:
    """What `ingest.job.run` does for a job with `embed_here`, on all machines of a Ray cluster.

    The machines must see the sources by the same names, and reach Weaviate and the sidecars. Fills `report`, also when
    an error ends the run: what is in stays in, and the same call goes on from there. Raises what `ingest` does, and
    VectorizerError when Ray gives up.
    """
    report = report or IngestReport()
    run_with_ray(job, report, listener, settings or RaySettings())
    return report


def run_with_ray(job: Job, report: IngestReport, listener: Listener, settings: RaySettings) -> str:
    """The same for a command: answers the name of the model."""
    job = spread_out(job, settings)
    parts = parts_of(job, settings.parts)
    with ExitStack() as until:
        store = until.enter_context(made_store(job, settings))
        ray = until.enter_context(cluster(settings))
        try:
            bring_in(ray, job, settings, parts, Tally(parts, report, listener), store)
        except ray.exceptions.RayError as error:
            raise VectorizerError(f"Ray gave up; the same command goes on from there ({said(error)})") from error
        refuse_nothing(job, report)
        finish(job, (), store, report)
    return store.model.model


def spread_out(job: Job, settings: RaySettings) -> Job:
    """The job as every machine understands it. Raises InputError for what one process alone can do."""
    alone = {
        "--watch": job.watch,
        "--prune": job.prune is not None,
        "--limit": job.settings.selection.limit is not None,
        "--dry-run": job.dry_run,
        "--reindex": job.reindex,
    }
    if asked := [option for option, given in alone.items() if given]:
        raise InputError(f"{asked[0]} cannot be shared out by Ray; run it in one process")
    (url, *_) = urls_of(job, settings)
    return replace(
        job, embed_here=True, options=everywhere(job.options), connection=replace(job.connection, vectorizer_url=url)
    )


def bring_in(ray: Any, job: Job, settings: RaySettings, parts: Sequence[Part], tally: Tally, store: ImageStore) -> None:
    desk = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1, max_concurrency=4)(Desk).remote(job)
    for row in rows_of(ray, parts, job, settings, desk):
        tally.take(row)
    tally.check()
    if job.settings.verify:
        tally.take_back(sent_again(ray, job, settings, parts, tally.sent, store, desk))
    ray.kill(desk)


def sent_again(
    ray: Any,
    job: Job,
    settings: RaySettings,
    parts: Sequence[Part],
    sent: Sequence[bytes],
    store: ImageStore,
    desk: Any,
) -> list[Outcome]:
    """Of what was sent, what the store does not hold even after it was removed and sent once more."""
    lost = still_lost(ray, job, sent)
    if not lost:
        return []
    only = Among(frozenset(outcome.key for outcome in lost))
    store.forget(sorted(only.keys))
    for row in rows_of(ray, [part.chosen_by(only.has) for part in parts], job, settings, desk):
        if row.error:
            raise row.error
    return still_lost(ray, job, [pickle.dumps(lost)])


@dataclass(frozen=True, slots=True)
class Among:
    keys: frozenset[str]

    def has(self, found: Item | Outcome) -> bool:
        return found.key in self.keys


@contextmanager
def made_store(job: Job, settings: RaySettings) -> Iterator[ImageStore]:
    """The collection, made or checked with the model that the embedders run: before them, lest they all make it."""
    with ExitStack() as until, ExitStack() as needed_once:
        if settings.model:
            url = needed_once.enter_context(LocalSidecar(settings.model)).url
            job = replace(job, connection=replace(job.connection, vectorizer_url=url, vectorizer_api_key=None))
        store, _ = until.enter_context(target(job))
        needed_once.close()
        yield store
