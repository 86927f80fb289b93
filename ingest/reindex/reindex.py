"""Move a collection to another model: a second vector for every object, then one switch; or no switch (`beside`).

An interrupted run continues when it is started again: an object that has the new vector is marked (`reindexed`).

    pages of the database -> stored images ─┐
                                            ├─> embed -> write
    sources -> look up -> read ─────────────┘

D dimensions
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from weaviate import WeaviateClient

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.connection import ConnectionSettings, connect_weaviate, weaviate_errors
from clip_vectorizer.defaults import IMAGE_COLLECTION
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.vectors import Vectors
from ingest.choices import Keep
from ingest.embed import Embedder, SidecarEmbedder, describe_refusal
from ingest.items import ItemOutcome, SourceItem, Status, UnusableFile
from ingest.listing import ListingProgress, Selection, list_items
from ingest.pipeline import LOOKUP_KEYS, IngestListener, IngestSettings, ignore_progress, split_batches, split_groups
from ingest.prepare import digest_content
from ingest.preview import preview_image
from ingest.reindex.collection import (
    Migration,
    ObjectState,
    ReindexTarget,
    begin_migration,
    finish_migration,
    plan_migration,
)
from ingest.report import IngestReport
from ingest.retry import Patience
from ingest.sources.base import Source
from ingest.stages import Flow, SizeLimit
from ingest.store.open import silence_object_dumps

SOURCE_NOT_NAMED = "none of the sources named holds it; name the folder or table it came from, and run --reindex again"
NOTHING_TO_REINDEX = "and is now on its way to no other; name a sidecar that runs another with --vectorizer-url"
NOTHING_TO_REINDEX_DRY = "so there is nothing to embed; name a sidecar that runs another model with --vectorizer-url"
FETCH_BATCH = 32  # stored images in one request
WRITE_BATCH = 64  # objects whose vectors are written while the next ones are embedded
FILE_CHANGED = "the file has changed since it was ingested; bring the old one back, or remove it from the collection"
FILE_UNVERIFIABLE = "neither a hash nor a stamp is stored, so it cannot be verified that this is the ingested file"

ReindexTargets = Mapping[str | None, ReindexTarget]  # by tenant; None: the whole of a collection without tenants


@dataclass(frozen=True, slots=True)
class ImageSources:
    """Sources of the images that the database does not store, and the tenant they belong to."""

    sources: Sequence[Source] = ()
    tenant: str | None = None


def reindex(
    connection: ConnectionSettings,
    sidecar: VectorizerClient,
    images: ImageSources,
    collection: str = IMAGE_COLLECTION,
    inference_url: str | None = None,
    on_progress: IngestListener = ignore_progress,
    settings: IngestSettings | None = None,
    report: IngestReport | None = None,
    dry_run: bool = False,
    beside: bool = False,
) -> IngestReport:
    """Give every object of `collection` a vector of the model that `sidecar` runs, then switch to these vectors.

    Images come from the database where it stores them, otherwise from the sources, whose files must be the ingested
    ones. Until the switch, searches use the first model and nothing else may write. The switch happens only when every
    object of every tenant has its new vector; otherwise `failures` lists those without, also those that no source
    holds. `inference_url`: the new sidecar as Weaviate reaches it, if that will not be its default. With the sidecar of
    the first model, an unfinished reindex is cancelled.

    With `beside` there is no switch: searches of the first model stay as they are, and those with the second model's
    sidecar use its vectors. Weaviate never makes these; the same call adds those of objects that came later. Objects
    that no source holds are left out: a part of a collection may have such vectors.

    With `dry_run` nothing is written or cancelled: `updated` counts the objects that would be embedded, `unchanged`
    those that have the new vector, and `failures` lists those whose image is not available.

    Raises Unreachable, InputError (no such collection), Mismatch (an unfinished reindex to a third model).
    """
    settings, report = settings or IngestSettings(), report or IngestReport()
    silence_object_dumps()
    url = connection.weaviate_url
    with connect_weaviate(url, connection.grpc_port, connection.api_key) as client:
        with weaviate_errors(url):
            info = sidecar.meta()
            if dry_run:
                migration = plan_migration(client, collection, info, beside)
            else:
                migration = begin_migration(client, collection, info, inference_url, beside)
        if migration is None:
            nothing = NOTHING_TO_REINDEX_DRY if dry_run or beside else NOTHING_TO_REINDEX
            on_progress(report, InputError(f"{collection} has the vectors of {info.model}, {nothing}"))
            return report
        embedder = None if dry_run else SidecarEmbedder(sidecar, migration.model)
        run = ReindexRun(client, url, migration, embedder, settings, ProgressReporter(report, on_progress))
        if run.run(images) and not dry_run:
            with weaviate_errors(url):
                finish_migration(client, migration)
    return report


@dataclass(frozen=True, slots=True)
class ProgressReporter:
    """Count an event in the report and pass it to the listener."""

    report: IngestReport
    on_progress: IngestListener

    def __call__(self, event: object) -> None:
        self.report.take(event)
        self.on_progress(self.report, event)


@dataclass(frozen=True, slots=True)
class ReindexRun:
    """All rounds over all tenants. Without an `embedder` it is a dry run."""

    client: WeaviateClient
    url: str
    migration: Migration
    embedder: Embedder | None
    settings: IngestSettings
    emit: ProgressReporter

    def run(self, images: ImageSources) -> bool:
        """Embed until every object has the new vector, also those that an ingest started earlier adds meanwhile.

        Return whether all have it, in a dry run whether all would get it.
        """
        problems: dict[str, str] = {}
        self.emit(ListingProgress(sum(target.count() for target in self._targets().values()), complete=True))
        while True:
            written: set[str] = set()
            with closing(self._events(images, problems)) as events:
                for event in events:
                    self.emit(event)
                    if isinstance(event, ItemOutcome):
                        written.add(event.key)
            total, lacking = self._count_lacking()
            if self.embedder is None:
                lacking = [key for key in lacking if key not in written]
            if self.embedder is None or not (written and lacking):
                return self._complete_report(total, lacking, problems)

    def _targets(self) -> ReindexTargets:
        """Read anew for every round, because tenants may be added meanwhile."""
        with weaviate_errors(self.url):
            tenants = self.client.collections.use(self.migration.collection).tenants
            names = sorted(tenants.get()) if self.migration.stored.tenants else [None]
        return {name: ReindexTarget(self.client, self.url, self.migration, name) for name in names}

    def _events(self, images: ImageSources, problems: dict[str, str]) -> Generator[object]:
        targets = self._targets()
        for target in targets.values():
            if target.keeps_images:
                yield from ReindexRound(target, self.embedder, self.settings, problems).embed_stored_images()
        if images.sources and images.tenant in targets:
            target = targets[images.tenant]
            yield from ReindexRound(target, self.embedder, self.settings, problems).embed_sources(images.sources)

    def _count_lacking(self) -> tuple[int, list[str]]:
        """Return the number of objects, and the keys of those without the new vector."""
        patience = Patience(self.settings.patience_seconds, on_wait=self.emit)
        total, lacking = 0, []
        for target in self._targets().values():
            for page in iterate_pages(target, patience):
                total += len(page)
                lacking += [state.key for state in page if not state.done]
        return total, lacking

    def _complete_report(self, total: int, lacking: Sequence[str], problems: Mapping[str, str]) -> bool:
        """Count each object once, even if it was written twice because it was replaced meanwhile.

        Return whether none failed.
        """
        report, done = self.emit.report, total - len(lacking)
        failed = {key: problems.get(key, SOURCE_NOT_NAMED) for key in lacking}
        if self.migration.beside and done:
            failed = {key: reason for key, reason in failed.items() if key in problems}
        report.seen = done + len(failed)
        report.updated = min(report.updated, done)
        report.unchanged = done - report.updated
        for key, reason in failed.items():
            self.emit(ItemOutcome(key, Status.FAILED, reason))
        if lacking and self.embedder is not None:
            self.emit(InputError(describe_lacking(len(lacking), total, self.migration)))
        return not failed


def describe_lacking(count: int, total: int, migration: Migration) -> str:
    lacking = f"{count:,} of {total:,} images have no vector of {migration.model.model}"
    if migration.beside:
        return f"{lacking}; searches by it find the others"
    return (
        f"{lacking}, so searches stay with {migration.stored.description.model.model}; run --reindex again with the "
        "sources of all of them"
    )


@dataclass(frozen=True, slots=True)
class ImageToEmbed:
    """An image whose object lacks the new vector."""

    key: str
    image: bytes

    @property
    def held_bytes(self) -> int:
        return len(self.image) + 1024


@dataclass(frozen=True, slots=True)
class NewVector:
    """A vector to write. D dimensions"""

    key: str
    vector_d: Vectors  # (D,)
    held_bytes: int = 8192


@dataclass(frozen=True, slots=True)
class MatchedFile:
    """A file, and its object, which lacks the new vector."""

    item: SourceItem
    state: ObjectState

    @property
    def held_bytes(self) -> int:
        return self.item.held_bytes


class ReindexRound:
    """One pass over the images of one target. Emits an ItemOutcome for each object that got its vector.

    Stores in `problems`, by key, why others did not. Without an `embedder` (a dry run) each image that would be
    embedded counts as updated; sources are read and verified, stored images are not fetched.
    """

    def __init__(
        self, target: ReindexTarget, embedder: Embedder | None, settings: IngestSettings, problems: dict[str, str]
    ) -> None:
        self._target, self._embedder, self._settings, self._problems = target, embedder, settings, problems

    def embed_stored_images(self) -> Generator[object]:
        with Flow() as flow:
            self._begin(flow)
            lacking = flow.stage(
                iterate_pages(self._target, self._patience),
                lambda page: (each for each in page if not each.done),
                SizeLimit(2000),
            )
            if self._embedder is None:
                yield from flow.events(flow.stage(lacking, self._count, SizeLimit(1)))
            else:
                images = flow.stage(split_groups(lacking, FETCH_BATCH), self._fetch, SizeLimit(256), 2)
                yield from self._embed_and_write(flow, images, self._embedder)

    def embed_sources(self, sources: Sequence[Source]) -> Generator[object]:
        selection = Selection(prefix=self._settings.selection.prefix)  # all of them: the switch waits for the last
        with Flow() as flow:
            self._begin(flow)
            items = flow.stage(
                list_items(sources, selection, self._record_problem), lambda item: (item,), SizeLimit(20_000)
            )
            matched = flow.stage(split_groups(items, LOOKUP_KEYS), self._look_up, SizeLimit(2 * LOOKUP_KEYS))
            images = flow.stage(matched, self._read, SizeLimit(256), self._settings.workers)
            if self._embedder is None:
                yield from flow.events(flow.stage(images, self._count, SizeLimit(1)))
            else:
                yield from self._embed_and_write(flow, images, self._embedder)

    def _begin(self, flow: Flow) -> None:
        self._flow = flow
        self._patience = Patience(self._settings.patience_seconds, flow.pause, flow.emit)

    def _embed_and_write(self, flow: Flow, images: Iterator[ImageToEmbed], embedder: Embedder) -> Iterator[object]:
        batches = split_batches(images, self._settings.embed_batch)
        vectors = flow.stage(
            batches, lambda batch: self._embed(batch, embedder), SizeLimit(512), self._settings.requests
        )
        return flow.events(flow.stage(split_groups(vectors, WRITE_BATCH), self._write, SizeLimit(1)))

    def _fetch(self, states: Sequence[ObjectState]) -> Iterator[ImageToEmbed]:
        images = self._patience.call(lambda: self._target.images([state.key for state in states]))
        return (ImageToEmbed(key, image) for key, image in images.items())

    def _record_problem(self, event: object) -> None:
        """Events of the listing: only failures matter, because objects are counted and not files."""
        if isinstance(event, ItemOutcome):
            self._problems[event.key] = event.reason

    def _look_up(self, items: Sequence[SourceItem]) -> Iterator[MatchedFile]:
        states = self._patience.call(lambda: self._target.states([item.key for item in items]))
        for item in items:
            state = states.get(item.key)
            if state and not state.done:
                yield MatchedFile(item, state)

    def _read(self, file: MatchedFile) -> Iterator[ImageToEmbed]:
        try:
            yield ImageToEmbed(file.item.key, read_verified_image(file, self._settings.prepare.decode))
        except UnusableFile as problem:
            self._problems[file.item.key] = str(problem)
        except Exception as error:  # no error of a decoder may stop the run
            self._problems[file.item.key] = f"{type(error).__name__}: {error}"

    def _embed(self, images: Sequence[ImageToEmbed], embedder: Embedder) -> Iterator[NewVector]:
        outcomes = self._patience.call(lambda: embedder.embed([each.image for each in images]))
        for each, outcome in zip(images, outcomes, strict=True):
            if isinstance(outcome, SidecarRefused):
                self._problems[each.key] = describe_refusal(outcome)
            else:
                yield NewVector(each.key, outcome)

    def _write(self, vectors: Sequence[NewVector]) -> Iterator[NewVector]:
        refused = self._patience.call(lambda: self._target.write({each.key: each.vector_d for each in vectors}))
        for each in vectors:
            if refusal := refused.get(each.key):
                self._problems[each.key] = refusal.reason
            else:
                self._flow.emit(ItemOutcome(each.key, Status.UPDATED))
        return iter(())

    def _count(self, each: ObjectState | ImageToEmbed) -> Iterator[NewVector]:
        """The last stage of a dry run."""
        self._flow.emit(ItemOutcome(each.key, Status.UPDATED))
        return iter(())


def read_verified_image(file: MatchedFile, settings: DecodeSettings) -> bytes:
    """Return the bytes to embed. Raises UnusableFile if the file is not the one that was ingested."""
    data = file.item.read()
    state = file.state
    if state.sha256 and state.sha256 != digest_content(data, state.sha256):
        raise UnusableFile(FILE_CHANGED)
    if not state.sha256 and (not state.stamp or state.stamp != file.item.stamp):
        raise UnusableFile(FILE_UNVERIFIABLE)
    return preview_image(data, state.fit, Keep.NONE, False, settings).image


def iterate_pages(target: ReindexTarget, patience: Patience) -> Iterator[list[ObjectState]]:
    """Yield the states of all objects, a page at a time."""
    page = patience.call(lambda: target.page(None))
    while page:
        yield page
        last = page[-1].id
        page = patience.call(lambda: target.page(last))  # noqa: B023 - called at once
