"""Another model for a collection: a second vector for every object, then one switch.

Killed at any moment and run again it goes on: an object that has the new vector says so (`reindexed`).
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from weaviate import WeaviateClient

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.connection import Connection, connect_weaviate
from clip_vectorizer.errors import InputError
from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.schema import IMAGE_COLLECTION
from ingest.embed import Embedder, SidecarEmbedder
from ingest.items import Fate, Outcome
from ingest.listing import Listed
from ingest.moving import Move, begin, finish
from ingest.new_vectors import NewVectors
from ingest.open_store import silence_object_dumps
from ingest.patience import Patience
from ingest.pipeline import IngestSettings, Listener, silent
from ingest.reindex_round import Round, all_pages
from ingest.report import IngestReport
from ingest.sources.base import Source

NOT_NAMED = "none of the sources named holds it; name the folder or table it came from, and run --reindex again"

NOTHING_TO_MOVE = "and is now on its way to no other; name a sidecar that runs another with --vectorizer-url"

Parts = Mapping[str | None, NewVectors]  # by tenant; None: the whole collection, which has none


@dataclass(frozen=True, slots=True)
class Images:
    """Where they are, if the database does not keep them, and of which tenant they are."""

    sources: Sequence[Source] = ()
    tenant: str | None = None


def reindex(
    connection: Connection,
    sidecar: VectorizerClient,
    images: Images,
    collection: str = IMAGE_COLLECTION,
    inference_url: str | None = None,
    on_progress: Listener = silent,
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
            move = begin(client, collection, info, inference_url)
        if move is None:
            on_progress(report, InputError(f"{collection} has the vectors of {info.model}, {NOTHING_TO_MOVE}"))
            return report
        embedder = SidecarEmbedder(sidecar, move.model)
        run = Run(client, url, move, embedder, settings, Telling(report, on_progress))
        if run.everything(images):
            with weaviate_errors(url):
                finish(client, move)
    return report


@dataclass(frozen=True, slots=True)
class Telling:
    report: IngestReport
    on_progress: Listener

    def __call__(self, event: object) -> None:
        self.report.take(event)
        self.on_progress(self.report, event)


@dataclass(frozen=True, slots=True)
class Run:
    client: WeaviateClient
    url: str
    move: Move
    embedder: Embedder
    settings: IngestSettings
    tell: Telling

    def everything(self, images: Images) -> bool:
        """Whether every object has the new vector: those too that an ingest, begun before, has added meanwhile."""
        problems: dict[str, str] = {}
        self.tell(Listed(sum(part.count() for part in self._parts().values()), complete=True))
        while True:
            written = 0
            with closing(self._events(images, problems)) as events:
                for event in events:
                    self.tell(event)
                    written += isinstance(event, Outcome)
            there, lacking = self._looked_through()
            if not (written and lacking):
                self._add_up(there, {key: problems.get(key, NOT_NAMED) for key in lacking})
                return not lacking

    def _parts(self) -> Parts:
        """Anew for every round: a tenant may have come."""
        with weaviate_errors(self.url):
            tenants = self.client.collections.use(self.move.collection).tenants
            names = sorted(tenants.get()) if self.move.stored.tenants else [None]
        return {name: NewVectors(self.client, self.url, self.move, name) for name in names}

    def _events(self, images: Images, problems: dict[str, str]) -> Generator[object]:
        parts = self._parts()
        for part in parts.values():
            if part.keeps_images:
                yield from Round(part, self.embedder, self.settings, problems).of_database()
        if images.sources and images.tenant in parts:
            yield from Round(parts[images.tenant], self.embedder, self.settings, problems).of_sources(images.sources)

    def _looked_through(self) -> tuple[int, list[str]]:
        """How many objects there are, and the keys of those without the new vector."""
        patience = Patience(self.settings.patience_seconds, tell=self.tell)
        there, lacking = 0, []
        for part in self._parts().values():
            for page in all_pages(part, patience):
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
            self.tell(Outcome(key, Fate.FAILED, reason))
