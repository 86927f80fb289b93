"""Another model for a collection: a second vector for every object, then one switch.

Killed at any moment and run again it goes on: an object that has the new vector says so (`reindexed`).

One passage over the images of a collection: those whose object lacks the new vector are embedded. D dimensions

pages of the database -> images of it ─┐
                                       ├─> embed -> write
sources -> look up -> read ────────────┘
"""

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from weaviate import WeaviateClient

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.connection import ConnectionSettings, connect_weaviate, weaviate_errors
from clip_vectorizer.defaults import IMAGE_COLLECTION
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.vectors import Vectors
from clip_vectorizer.wire import about_one_file
from ingest.choices import Keep
from ingest.embed import Embedder, SidecarEmbedder
from ingest.items import ItemOutcome, SourceItem, Status, UnusableFile
from ingest.listing import ListingProgress, Selection, list_items
from ingest.pipeline import LOOKUP_KEYS, IngestListener, IngestSettings, ignore_progress, split_batches, split_groups
from ingest.prepare import preview_image
from ingest.reindex.collection import Migration, ObjectState, ReindexTarget, begin_migration, finish_migration
from ingest.report import IngestReport
from ingest.retry import Patience
from ingest.sources.base import Source
from ingest.stages import Flow, SizeLimit
from ingest.store.open import silence_object_dumps

SOURCE_NOT_NAMED = "none of the sources named holds it; name the folder or table it came from, and run --reindex again"

NOTHING_TO_REINDEX = "and is now on its way to no other; name a sidecar that runs another with --vectorizer-url"
FETCH_BATCH = 32  # that are fetched in one request
WRITE_BATCH = 64  # objects whose vectors are written while the next ones are embedded
FILE_CHANGED = "the file has changed since it was ingested; bring the old one back, or remove it from the collection"
FILE_UNVERIFIABLE = "nothing was kept by which to tell whether this is the file that was ingested"

ReindexTargets = Mapping[str | None, ReindexTarget]  # by tenant; None: the whole collection, which has none


@dataclass(frozen=True, slots=True)
class ImageSources:
    """Where they are, if the database does not keep them, and of which tenant they are."""

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
) -> IngestReport:
    """Gives every object of `collection` a vector of the model that `sidecar` runs, then switches to these.

    Images are taken from the database where it keeps them, else from the sources, whose files must be those that were
    ingested. Until the switch searches use the first model, and nothing else may write. The switch is made only when
    every object, of every tenant, has its new vector: else `failures` names those that have not. `inference_url`: the
    new sidecar as Weaviate reaches it, where that will not be its default one. With the sidecar of the first model a
    reindex that was broken off is called off. Raises Unreachable, InputError, Mismatch.
    """
    settings, report = settings or IngestSettings(), report or IngestReport()
    silence_object_dumps()
    url = connection.weaviate_url
    with connect_weaviate(url, connection.grpc_port, connection.api_key) as client:
        with weaviate_errors(url):
            info = sidecar.meta()
            move = begin_migration(client, collection, info, inference_url)
        if move is None:
            on_progress(report, InputError(f"{collection} has the vectors of {info.model}, {NOTHING_TO_REINDEX}"))
            return report
        embedder = SidecarEmbedder(sidecar, move.model)
        run = ReindexRun(client, url, move, embedder, settings, ProgressReporter(report, on_progress))
        if run.everything(images):
            with weaviate_errors(url):
                finish_migration(client, move)
    return report


@dataclass(frozen=True, slots=True)
class ProgressReporter:
    report: IngestReport
    on_progress: IngestListener

    def __call__(self, event: object) -> None:
        self.report.take(event)
        self.on_progress(self.report, event)


@dataclass(frozen=True, slots=True)
class ReindexRun:
    client: WeaviateClient
    url: str
    move: Migration
    embedder: Embedder
    settings: IngestSettings
    tell: ProgressReporter

    def everything(self, images: ImageSources) -> bool:
        """Whether every object has the new vector: those too that an ingest, begun before, has added meanwhile."""
        problems: dict[str, str] = {}
        self.tell(ListingProgress(sum(part.count() for part in self._parts().values()), complete=True))
        while True:
            written = 0
            with closing(self._events(images, problems)) as events:
                for event in events:
                    self.tell(event)
                    written += isinstance(event, ItemOutcome)
            there, lacking = self._looked_through()
            if not (written and lacking):
                self._add_up(there, {key: problems.get(key, SOURCE_NOT_NAMED) for key in lacking})
                return not lacking

    def _parts(self) -> ReindexTargets:
        """Anew for every round: a tenant may have come."""
        with weaviate_errors(self.url):
            tenants = self.client.collections.use(self.move.collection).tenants
            names = sorted(tenants.get()) if self.move.stored.tenants else [None]
        return {name: ReindexTarget(self.client, self.url, self.move, name) for name in names}

    def _events(self, images: ImageSources, problems: dict[str, str]) -> Generator[object]:
        parts = self._parts()
        for part in parts.values():
            if part.keeps_images:
                yield from ReindexRound(part, self.embedder, self.settings, problems).of_database()
        if images.sources and images.tenant in parts:
            yield from ReindexRound(parts[images.tenant], self.embedder, self.settings, problems).of_sources(
                images.sources
            )

    def _looked_through(self) -> tuple[int, list[str]]:
        """How many objects there are, and the keys of those without the new vector."""
        patience = Patience(self.settings.patience_seconds, tell=self.tell)
        there, lacking = 0, []
        for part in self._parts().values():
            for page in iterate_pages(part, patience):
                there += len(page)
                lacking += [state.key for state in page if not state.done]
        return there, lacking

    def _add_up(self, there: int, lacking: Mapping[str, str]) -> None:
        """An object counts once, also if it was written twice because somebody replaced it meanwhile."""
        report = self.tell.report
        report.seen = there
        report.updated = min(report.updated, there - len(lacking))
        report.unchanged = there - len(lacking) - report.updated
        for key, reason in lacking.items():
            self.tell(ItemOutcome(key, Status.FAILED, reason))


@dataclass(frozen=True, slots=True)
class ImageToEmbed:
    key: str
    image: bytes

    @property
    def held_bytes(self) -> int:
        return len(self.image) + 1024


@dataclass(frozen=True, slots=True)
class NewVector:
    key: str
    vector_d: Vectors  # (D,)
    held_bytes: int = 8192


@dataclass(frozen=True, slots=True)
class MatchedFile:
    """A file, and the object that lacks its vector."""

    item: SourceItem
    state: ObjectState

    @property
    def held_bytes(self) -> int:
        return self.item.held_bytes


class ReindexRound:
    """Tells an Outcome of every object that got its vector. `problems` are the reasons of others, by key."""

    def __init__(
        self, part: ReindexTarget, embedder: Embedder, settings: IngestSettings, problems: dict[str, str]
    ) -> None:
        self._part, self._embedder, self._settings, self._problems = part, embedder, settings, problems

    def of_database(self) -> Generator[object]:
        with Flow() as flow:
            self._begin(flow)
            lacking = flow.stage(
                iterate_pages(self._part, self._patience),
                lambda page: (each for each in page if not each.done),
                SizeLimit(2000),
            )
            yield from self._rest(flow, flow.stage(split_groups(lacking, FETCH_BATCH), self._fetch, SizeLimit(256), 2))

    def of_sources(self, sources: Sequence[Source]) -> Generator[object]:
        selection = Selection(prefix=self._settings.selection.prefix)  # all of them: the switch waits for the last
        with Flow() as flow:
            self._begin(flow)
            items = flow.stage(list_items(sources, selection, self._overhear), lambda item: (item,), SizeLimit(20_000))
            asked = flow.stage(split_groups(items, LOOKUP_KEYS), self._look_up, SizeLimit(2 * LOOKUP_KEYS))
            yield from self._rest(flow, flow.stage(asked, self._read, SizeLimit(256), self._settings.workers))

    def _begin(self, flow: Flow) -> None:
        self._flow = flow
        self._patience = Patience(self._settings.patience_seconds, flow.pause, flow.tell)

    def _rest(self, flow: Flow, wanted: Iterator[ImageToEmbed]) -> Iterator[object]:
        embed_batches = split_batches(wanted, self._settings.embed_batch)
        ready = flow.stage(embed_batches, self._embed, SizeLimit(512), self._settings.requests)
        return flow.events(flow.stage(split_groups(ready, WRITE_BATCH), self._write, SizeLimit(1)))

    def _fetch(self, states: Sequence[ObjectState]) -> Iterator[ImageToEmbed]:
        images = self._patience.call(lambda: self._part.images([state.key for state in states]))
        return (ImageToEmbed(key, image) for key, image in images.items())

    def _overhear(self, event: object) -> None:
        """What is listed is not what is counted: the objects are."""
        if isinstance(event, ItemOutcome):
            self._problems[event.key] = event.reason

    def _look_up(self, items: Sequence[SourceItem]) -> Iterator[MatchedFile]:
        states = self._patience.call(lambda: self._part.states([item.key for item in items]))
        for item in items:
            state = states.get(item.key)
            if state and not state.done:
                yield MatchedFile(item, state)

    def _read(self, asked: MatchedFile) -> Iterator[ImageToEmbed]:
        try:
            yield ImageToEmbed(asked.item.key, read_verified_image(asked))
        except UnusableFile as problem:
            self._problems[asked.item.key] = str(problem)
        except Exception as error:  # whatever a file can do to a decoder, it must not stop the run
            self._problems[asked.item.key] = f"{type(error).__name__}: {error}"

    def _embed(self, wanted: Sequence[ImageToEmbed]) -> Iterator[NewVector]:
        outcomes = self._patience.call(lambda: self._embedder.embed([each.image for each in wanted]))
        for each, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, SidecarRefused):
                self._problems[each.key] = about_one_file(str(outcome))
            else:
                yield NewVector(each.key, outcome)

    def _write(self, ready: Sequence[NewVector]) -> Iterator[NewVector]:
        refused = self._patience.call(lambda: self._part.write({each.key: each.vector_d for each in ready}))
        for each in ready:
            if refusal := refused.get(each.key):
                self._problems[each.key] = refusal.reason
            else:
                self._flow.tell(ItemOutcome(each.key, Status.UPDATED))
        return iter(())


def read_verified_image(asked: MatchedFile) -> bytes:
    """What is to be embedded of the file that was ingested. Raises UnusableFile where it is another one now."""
    data = asked.item.read()
    state = asked.state
    if state.sha256 and state.sha256 != hashlib.sha256(data).hexdigest():
        raise UnusableFile(FILE_CHANGED)
    if not state.sha256 and (not state.stamp or state.stamp != asked.item.stamp):
        raise UnusableFile(FILE_UNVERIFIABLE)
    return preview_image(data, state.fit, Keep.NONE, False).image


def iterate_pages(part: ReindexTarget, patience: Patience) -> Iterator[list[ObjectState]]:
    """Every object there is."""
    page = patience.call(lambda: part.page(None))
    while page:
        yield page
        last = page[-1].id
        page = patience.call(lambda: part.page(last))  # noqa: B023 - called at once
