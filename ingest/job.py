"""Everything that one `clip-ingest` does, in order: open, ingest, prune, find near-duplicates, watch; or reindex.

`build_job` makes a job of the options of the command.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from clip_vectorizer.address_guard import AddressGuard
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.collections import CollectionSpec
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.database.schema import METADATA_PROPERTIES, property_name
from clip_vectorizer.defaults import DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION
from clip_vectorizer.errors import InputError
from clip_vectorizer.images.pdf_passwords import parse_passwords
from clip_vectorizer.images.settings import DecodeSettings
from ingest.choices import Fit, Keep
from ingest.embed import Embedder, SidecarEmbedder
from ingest.listing import Selection, Shard
from ingest.near_duplicates import find_near_duplicates
from ingest.pipeline import IngestListener, IngestSettings, ingest
from ingest.prepare import PrepareSettings
from ingest.prune import PruneLimit, PruneRefused, RecordingSource, check_prune, prune
from ingest.region_methods import RegionKind, RegionMethod
from ingest.region_plan import RegionTarget, build_region_maker, find_box_field, parse_regions, report_unused_boxes
from ingest.regions import RegionMaker
from ingest.reindex.reindex import ImageSources, reindex
from ingest.report import FailedItems, IngestReport
from ingest.retry import Patience
from ingest.sources import open_sources
from ingest.sources.base import PropertyColumn, Source, SourceOptions
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
    regions: RegionMethod | None = None  # None: they stay as they are
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
    beside: bool = False  # the collection's own model stays the first


class JobTarget(NamedTuple):
    store: ImageStore
    embedder: Embedder | None
    regions: RegionMaker | None = None


def run_job(job: IngestJob | ReindexJob, report: IngestReport, listener: IngestListener) -> str:
    """Fill `report`, also when an error ends the job, and return the name of the model.

    A job that watches runs until it is interrupted. Raises what `ingest` or `reindex` raises, and PruneRefused.
    """
    if isinstance(job, ReindexJob):
        return run_reindex(job, report, listener)
    sources = open_sources(job.sources, job.options)
    recorded = [RecordingSource(source) for source in sources] if job.prune else []
    with open_target(job) as (store, embedder, regions):
        job = replace(job, settings=add_recipe(job.settings, regions))
        for settings in build_round_settings(job, sources):
            report.skipped = report.dropped = 0  # each round lists all of them again
            ingest(recorded or sources, store, embedder, listener, settings, report, regions)
            check_images_found(job, report)
            if regions and not (job.settings.selection.is_part or job.settings.selection.limit):
                report_unused_boxes(regions, job.sources, report, listener)
            try:
                finish_round(job, recorded, store, report)
            except PruneRefused as refused:
                if not job.watch:
                    raise
                listener(report, refused)
            if job.watch:
                listener(report, RoundComplete())
    return store.model.model


def add_recipe(settings: IngestSettings, regions: RegionMaker | None) -> IngestSettings:
    recipe = regions.recipe if regions else None
    return replace(settings, prepare=replace(settings.prepare, regions=recipe))


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
            job.beside,
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


def finish_round(job: IngestJob, recorded: Sequence[RecordingSource], store: ImageStore, report: IngestReport) -> None:
    """Prune and find near-duplicates, as far as the job includes them. `recorded`: the sources, with --prune."""
    patience = Patience(job.settings.patience_seconds, time.sleep)
    if limit := job.prune:
        report.pruned += prune(recorded, store, job.settings.selection, limit, patience, really=not job.dry_run)
    if job.hash_distance is not None:
        report.near_duplicates = find_near_duplicates(patience.call(lambda: list(store.phashes())), job.hash_distance)


@contextmanager
def open_target(job: IngestJob) -> Iterator[JobTarget]:
    """Open the job's store, its embedder if this process embeds, and what makes regions. Raises what `open_store`
    raises, and InputError for boxes that cannot be read."""
    with ExitStack() as stack:
        store = stack.enter_context(open_job_store(job))
        sidecar = stack.enter_context(open_sidecar(job)) if calls_sidecar(job) else None
        embedder = SidecarEmbedder(sidecar, store.model) if sidecar and not job.dry_run else None
        regions = None
        if job.regions:
            target = RegionTarget(job.collection, store, job.dry_run)
            regions = build_region_maker(job.regions, target, sidecar, embedder, job.settings.prepare.decode)
        if job.dry_run:
            yield JobTarget(ReadOnlyStore(store), None, regions)
        else:
            yield JobTarget(store, embedder if job.embed_here else None, regions)


def open_job_store(job: IngestJob) -> AbstractContextManager[ImageStore]:
    spec = CollectionSpec(job.keep, embed_here=job.embed_here, quantizer=job.quantizer)
    create = not job.dry_run
    return open_store(job.connection, job.collection, spec, job.tenant, create, with_regions=makes_regions(job))


def calls_sidecar(job: IngestJob) -> bool:
    """Whether this process embeds; a dry run only reads what finds the boxes."""
    if job.dry_run:
        return job.regions is not None and job.regions.is_proposal
    return job.embed_here or makes_regions(job)


def makes_regions(job: IngestJob) -> bool:
    return job.regions is not None and job.regions.kind is not RegionKind.NONE


def open_sidecar(job: IngestJob) -> VectorizerClient:
    url = job.connection.vectorizer_url or DEFAULT_VECTORIZER_URL
    return VectorizerClient(url, api_key=job.connection.vectorizer_api_key)


def build_job(sources: Sequence[str], **values: Any) -> IngestJob | ReindexJob:
    """`values`: the command's options. Raises InputError for values that cannot be used."""
    return build_reindex_job(sources, values) if values["reindex"] else build_ingest_job(sources, values)


def build_reindex_job(sources: Sequence[str], values: Mapping[str, Any]) -> ReindexJob:
    return ReindexJob(
        sources=sources,
        connection=build_connection(values),
        options=build_source_options(values),
        settings=IngestSettings(
            workers=values["workers"],
            prepare=PrepareSettings(decode=DecodeSettings(least_decoded=values["least_decoded"])),
            selection=Selection(check_prefix(values["prefix"])),
            patience_seconds=values["patience"],
        ),
        collection=values["collection"],
        tenant=values["tenant"],
        inference_url=values["inference_url"],
        dry_run=values["dry_run"],
        beside=values["beside"],
    )


def build_ingest_job(sources: Sequence[str], values: Mapping[str, Any]) -> IngestJob:
    failed = FailedItems.read(values["retry_failed"]) if values["retry_failed"] else None
    shard = Shard.parse(values["shard"]) if values["shard"] else None
    selection = Selection(check_prefix(values["prefix"]), shard, values["limit"])
    prune = PruneLimit.parse(values["prune_limit"]) if values["prune"] else None
    if prune:
        check_prune(selection, retry=failed is not None)
    if failed:
        selection = replace(selection, only=failed.has)
        sources = sources or failed.sources
    hash_distance = values["hash_distance"]
    return IngestJob(
        sources=sources,
        connection=build_connection(values),
        options=build_source_options(values),
        settings=IngestSettings(
            workers=values["workers"],
            prepare=PrepareSettings(
                near_duplicates=hash_distance is not None,
                decode=DecodeSettings(least_decoded=values["least_decoded"]),
                take_over=values["take_over"],
            ),
            selection=selection,
            checksum=values["checksum"],
            patience_seconds=values["patience"],
            verify=not values["dry_run"],
        ),
        collection=values["collection"],
        tenant=values["tenant"],
        keep=Keep(values["keep"]) if values["keep"] else None,
        embed_here=values["embed"] == "client",
        quantizer=values["quantizer"],
        prune=prune,
        regions=parse_regions(values),
        hash_distance=hash_distance,
        dry_run=values["dry_run"],
        watch=values["watch"],
    )


def check_prefix(prefix: str) -> str:
    try:
        prefix.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"--prefix {prefix!r}: not UTF-8 text; use other letters, or set the terminal to UTF-8"
        ) from error
    return prefix


def build_connection(values: Mapping[str, Any]) -> ConnectionSettings:
    return ConnectionSettings(
        values["weaviate_url"],
        values["weaviate_grpc_port"],
        values["weaviate_api_key"],
        values["vectorizer_url"],
        values["vectorizer_api_key"],
    )


def build_source_options(values: Mapping[str, Any]) -> SourceOptions:
    return SourceOptions(
        ignore=values["ignore"],
        hidden=values["hidden"],
        fit=Fit(values["fit"]) if values["fit"] else None,
        dpi=values["dpi"],
        pdf_passwords=parse_passwords(values["pdf_passwords"]),
        frames=values["frames"],
        exif=values["exif"],
        columns=tuple(map(parse_column, values["columns"])),
        path_column=values["path_column"],
        label_column=values["label_column"],
        caption_column=values["caption_column"],
        root=values["root"],
        nul=values["nul"],
        storage=dict(map(parse_pair, values["storage"])),
        allow_addresses=check_addresses(values["allow_addresses"]),
        box_field=find_box_field(values["regions"]),
    )


def check_addresses(words: tuple[str, ...]) -> tuple[str, ...]:
    """Raises InputError before anything is read."""
    AddressGuard.parse(words)
    return words


def parse_column(text: str) -> PropertyColumn:
    """`price`, `price:number`, `Price (EUR)=price:number`. Raises InputError."""
    names, colon, kind = text.rpartition(":")
    if not colon or kind not in ("text", "int", "number", "boolean", "date"):
        names, kind = text, ""
    column, _, name = names.rpartition("=")
    if not name:
        raise InputError(f"--property {text!r}: write COLUMN[=NAME][:TYPE], for example price:number")
    check_property(text, column or name, name)
    return PropertyColumn(column or name, name, kind)


def check_property(option: str, column: str, name: str) -> None:
    """Raises InputError once, instead of one failure per image."""
    try:
        if name not in METADATA_PROPERTIES:
            property_name(name)
    except InputError as error:
        raise InputError(
            f"--property {option!r}: {name!r} cannot be the name of a property; rename it, "
            f"--property {column!r}=my_name"
        ) from error


def parse_pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InputError(f"--storage {text!r}: write KEY=VALUE, for example endpoint_url=http://localhost:9000")
    return name, value
