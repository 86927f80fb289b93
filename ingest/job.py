"""Everything that one `clip-ingest` does, in order: open, ingest, prune, find near-duplicates, watch; or reindex."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.collections import CollectionSpec
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.defaults import DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION
from clip_vectorizer.errors import InputError
from ingest.choices import Keep
from ingest.embed import Embedder, SidecarEmbedder
from ingest.near_duplicates import find_near_duplicates
from ingest.pipeline import IngestListener, IngestSettings, ingest
from ingest.prune import PruneLimit, PruneRefused, RecordingSource, prune
from ingest.reindex.reindex import ImageSources, reindex
from ingest.report import IngestReport
from ingest.retry import Patience
from ingest.sources import open_sources
from ingest.sources.base import Source, SourceOptions
from ingest.store.base import ImageStore, ReadOnlyStore
from ingest.store.open import open_store
from ingest.watch import ChangeFilter, RoundComplete, iterate_rounds


@dataclass(frozen=True, slots=True)
class IngestJob:
    """What to ingest, from where, and into which collection."""

    sources: Sequence[str]
    connection: ConnectionSettings
    options: SourceOptions = field(default_factory=SourceOptions)
    settings: IngestSettings = field(default_factory=IngestSettings)
    collection: str = IMAGE_COLLECTION
    tenant: str | None = None
    keep: Keep | None = None  # None: as the collection was created
    embed_here: bool = False  # this process sends images to the sidecar, in large batches, not Weaviate's module
    quantizer: str | None = None  # None: as the collection was created
    prune: PruneLimit | None = None
    hash_distance: int | None = None  # report images whose perceptual hashes are at most so many bits apart
    dry_run: bool = False
    watch: bool = False


@dataclass(frozen=True, slots=True)
class ReindexJob:
    """Every object of a collection gets a vector of the model behind `connection.vectorizer_url`."""

    sources: Sequence[str]  # of the images that the database does not store
    connection: ConnectionSettings
    options: SourceOptions = field(default_factory=SourceOptions)
    settings: IngestSettings = field(default_factory=IngestSettings)
    collection: str = IMAGE_COLLECTION
    tenant: str | None = None  # whose images the sources are
    inference_url: str | None = None  # that sidecar as Weaviate reaches it
    dry_run: bool = False


class JobTarget(NamedTuple):
    store: ImageStore
    embedder: Embedder | None


def run_job(job: IngestJob | ReindexJob, report: IngestReport, listener: IngestListener) -> str:
    """Fill `report`, also when an error ends the job, and return the name of the model.

    A job that watches runs until it is interrupted. Raises what `ingest` or `reindex` raises, and PruneRefused.
    """
    if isinstance(job, ReindexJob):
        return run_reindex(job, report, listener)
    sources = [RecordingSource(source) for source in open_sources(job.sources, job.options)]
    with open_target(job) as (store, embedder):
        for settings in build_round_settings(job, sources):
            report.skipped = report.dropped = 0  # each round lists all of them again
            ingest(sources, store, embedder, listener, settings, report)
            check_images_found(job, report)
            try:
                finish_round(job, sources, store, report)
            except PruneRefused as refused:
                if not job.watch:
                    raise
                listener(report, refused)
            if job.watch:
                listener(report, RoundComplete())
    return store.model.model


def check_images_found(job: IngestJob, report: IngestReport) -> None:
    """Raise InputError if the sources have no images; with --watch or --prune that may be intended."""
    if not (report.seen or job.watch or job.prune or job.settings.selection.is_part):
        raise InputError(f"{', '.join(job.sources)}: no images there (other files: {report.skipped})")


def run_reindex(job: ReindexJob, report: IngestReport, listener: IngestListener) -> str:
    """Move the collection to another model and return that model's name. Raises what `reindex` raises."""
    connection = job.connection
    images = ImageSources(open_sources(job.sources, job.options), job.tenant)
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
            job.dry_run,
        )
        return sidecar.meta().model


def build_round_settings(job: IngestJob, sources: Sequence[Source]) -> Iterator[IngestSettings]:
    """Yield the settings of each round: one, or with --watch one for each change, which selects what changed."""
    if not job.watch:
        yield job.settings
        return
    changed, selection = ChangeFilter(), job.settings.selection
    for _ in iterate_rounds(sources, changed):
        only = replace(selection, only=lambda found: selection.has(found) and changed.has(found))
        yield replace(job.settings, selection=only)


def finish_round(job: IngestJob, sources: Sequence[RecordingSource], store: ImageStore, report: IngestReport) -> None:
    """Prune and find near-duplicates, as far as the job includes them."""
    patience = Patience(job.settings.patience_seconds, time.sleep)
    if limit := job.prune:
        report.pruned += prune(sources, store, job.settings.selection, limit, patience, really=not job.dry_run)
    if job.hash_distance is not None:
        report.near_duplicates = find_near_duplicates(patience.call(lambda: list(store.phashes())), job.hash_distance)


@contextmanager
def open_target(job: IngestJob) -> Iterator[JobTarget]:
    """Open the job's store and, if this process embeds, its embedder. Raises what `open_store` raises."""
    connection = job.connection
    with open_store(
        connection,
        job.collection,
        CollectionSpec(job.keep, embed_here=job.embed_here, quantizer=job.quantizer),
        job.tenant,
        create=not job.dry_run,
    ) as store:
        if job.dry_run:
            yield JobTarget(ReadOnlyStore(store), None)
        elif job.embed_here:
            url = connection.vectorizer_url or DEFAULT_VECTORIZER_URL
            with VectorizerClient(url, api_key=connection.vectorizer_api_key) as sidecar:
                yield JobTarget(store, SidecarEmbedder(sidecar, store.model))
        else:
            yield JobTarget(store, None)
