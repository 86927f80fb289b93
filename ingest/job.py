"""Everything `clip-ingest` was asked for, done in its order: open, bring in, prune, tell what looks alike; watch."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.collections import Wish
from clip_vectorizer.connection import DEFAULT_VECTORIZER_URL, Connection
from clip_vectorizer.errors import InputError
from clip_vectorizer.schema import IMAGE_COLLECTION
from ingest.dry_run import ReadOnly
from ingest.embed import Embedder, SidecarEmbedder
from ingest.near_duplicates import near_duplicates
from ingest.open_store import open_store
from ingest.patience import Patience
from ingest.pipeline import IngestSettings, Listener, ingest
from ingest.prune import PruneLimit, PruneRefused, Recorded, prune
from ingest.reindex import Images, reindex
from ingest.report import IngestReport
from ingest.sources import open_sources
from ingest.sources.base import Source, SourceOptions
from ingest.store import ImageStore, Keep
from ingest.watch import Changed, Watching, rounds


@dataclass(frozen=True, slots=True)
class Job:
    sources: Sequence[str]
    connection: Connection
    options: SourceOptions = field(default_factory=SourceOptions)
    settings: IngestSettings = field(default_factory=IngestSettings)
    collection: str = IMAGE_COLLECTION
    tenant: str | None = None
    keep: Keep | None = None  # None: as the collection was made
    embed_here: bool = False  # the sidecar is asked by us in large batches, not by Weaviate's module
    quantizer: str | None = None  # None: as the collection was made
    prune: PruneLimit | None = None
    alike_bits: int | None = None  # report images whose perceptual hashes are that many bits apart
    dry_run: bool = False
    watch: bool = False
    reindex: bool = False  # instead of all that: every object gets a vector of the model that vectorizer_url runs
    inference_url: str | None = None  # that sidecar as Weaviate reaches it


class Target(NamedTuple):
    store: ImageStore
    embedder: Embedder | None


def run(job: Job, report: IngestReport, listener: Listener) -> str:
    """Fills `report`, also when an error ends it; the name of the model. Raises what `ingest` does, and PruneRefused.

    A job that watches ends when it is interrupted.
    """
    if job.reindex:
        return move(job, report, listener)
    sources = [Recorded(source) for source in open_sources(job.sources, job.options)]
    with target(job) as (store, embedder):
        for settings in all_rounds(job, sources):
            report.skipped = 0  # a round sees them all again
            ingest(sources, store, embedder, listener, settings, report)
            refuse_nothing(job, report)
            try:
                finish(job, sources, store, report)
            except PruneRefused as refused:
                if not job.watch:
                    raise
                listener(report, refused)
            if job.watch:
                listener(report, Watching())
    return store.model.model


def refuse_nothing(job: Job, report: IngestReport) -> None:
    """A folder without images is a mistake more often than not; for a watcher or a pruner it may be right."""
    if not (report.seen or job.watch or job.prune or job.settings.selection.is_part):
        raise InputError(f"{', '.join(job.sources)}: no images there (other files: {report.skipped})")


def move(job: Job, report: IngestReport, listener: Listener) -> str:
    """Moves the collection to another model, whose name it answers. Raises what `reindex` does."""
    connection = job.connection
    images = Images(open_sources(job.sources, job.options), job.tenant)
    url = connection.vectorizer_url or DEFAULT_VECTORIZER_URL
    with VectorizerClient(url, api_key=connection.vectorizer_api_key) as sidecar:
        reindex(
            connection,
            sidecar,
            images,
            job.collection,
            job.inference_url,
            listener,
            job.settings,
            report,
        )
        return sidecar.meta().model


def all_rounds(job: Job, sources: Sequence[Source]) -> Iterator[IngestSettings]:
    if not job.watch:
        yield job.settings
        return
    changed, selection = Changed(), job.settings.selection
    for _ in rounds(sources, changed):
        only = replace(selection, only=lambda found: selection.has(found) and changed.has(found))
        yield replace(job.settings, selection=only)


def finish(job: Job, sources: Sequence[Recorded], store: ImageStore, report: IngestReport) -> None:
    patience = Patience(job.settings.patience_seconds, time.sleep)
    if limit := job.prune:
        report.pruned += prune(sources, store, job.settings.selection, limit, patience, really=not job.dry_run)
    if job.alike_bits is not None:
        report.near_duplicates = near_duplicates(patience.call(lambda: list(store.phashes())), job.alike_bits)


@contextmanager
def target(job: Job) -> Iterator[Target]:
    connection = job.connection
    with open_store(
        connection,
        job.collection,
        Wish(job.keep, embed_here=job.embed_here, quantizer=job.quantizer),
        job.tenant,
        create=not job.dry_run,
    ) as store:
        if job.dry_run:
            yield Target(ReadOnly(store), None)
        elif job.embed_here:
            url = connection.vectorizer_url or DEFAULT_VECTORIZER_URL
            with VectorizerClient(url, api_key=connection.vectorizer_api_key) as sidecar:
                yield Target(store, SidecarEmbedder(sidecar, store.model))
        else:
            yield Target(store, None)
