"""One passage over the images of a collection: those whose object lacks the new vector are embedded. D dimensions

pages of the database -> images of it ─┐
                                       ├─> embed -> write
sources -> look up -> read ────────────┘
"""

import hashlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.vectors import Vectors
from clip_vectorizer.wire import about_one_file
from ingest.embed import Embedder
from ingest.flow import Bound, Flow
from ingest.items import Fate, Item, Outcome, UnusableFile
from ingest.listing import Selection, listed
from ingest.new_vectors import NewVectors, State
from ingest.patience import Patience
from ingest.picture import look_at
from ingest.pipeline import LOOK_UP, IngestSettings, batches, groups
from ingest.sources.base import Source
from ingest.store import Keep

STORED_IMAGES = 32  # that are fetched in one request
WRITE = 64  # objects whose vectors are written while the next ones are embedded
CHANGED = "the file has changed since it was ingested; bring the old one back, or remove it from the collection"
UNKNOWN = "nothing was kept by which to tell whether this is the file that was ingested"


@dataclass(frozen=True, slots=True)
class Wanted:
    key: str
    image: bytes

    @property
    def held_bytes(self) -> int:
        return len(self.image) + 1024


@dataclass(frozen=True, slots=True)
class Ready:
    key: str
    vector_d: Vectors  # (D,)
    held_bytes: int = 8192


@dataclass(frozen=True, slots=True)
class Asked:
    """A file, and the object that lacks its vector."""

    item: Item
    state: State

    @property
    def held_bytes(self) -> int:
        return self.item.held_bytes


class Round:
    """Tells an Outcome of every object that got its vector. `problems` are the reasons of others, by key."""

    def __init__(
        self, part: NewVectors, embedder: Embedder, settings: IngestSettings, problems: dict[str, str]
    ) -> None:
        self._part, self._embedder, self._settings, self._problems = part, embedder, settings, problems

    def of_database(self) -> Generator[object]:
        with Flow() as flow:
            self._begin(flow)
            lacking = flow.stage(
                all_pages(self._part, self._patience),
                lambda page: (each for each in page if not each.done),
                Bound(2000),
            )
            yield from self._rest(flow, flow.stage(groups(lacking, STORED_IMAGES), self._fetch, Bound(256), 2))

    def of_sources(self, sources: Sequence[Source]) -> Generator[object]:
        selection = Selection(prefix=self._settings.selection.prefix)  # all of them: the switch waits for the last
        with Flow() as flow:
            self._begin(flow)
            items = flow.stage(listed(sources, selection, self._overhear), lambda item: (item,), Bound(20_000))
            asked = flow.stage(groups(items, LOOK_UP), self._look_up, Bound(2 * LOOK_UP))
            yield from self._rest(flow, flow.stage(asked, self._read, Bound(256), self._settings.workers))

    def _begin(self, flow: Flow) -> None:
        self._flow = flow
        self._patience = Patience(self._settings.patience_seconds, flow.pause, flow.tell)

    def _rest(self, flow: Flow, wanted: Iterator[Wanted]) -> Iterator[object]:
        embed_batches = batches(wanted, self._settings.embed_batch)
        ready = flow.stage(embed_batches, self._embed, Bound(512), self._settings.requests)
        return flow.events(flow.stage(groups(ready, WRITE), self._write, Bound(1)))

    def _fetch(self, states: Sequence[State]) -> Iterator[Wanted]:
        images = self._patience.call(lambda: self._part.images([state.key for state in states]))
        return (Wanted(key, image) for key, image in images.items())

    def _overhear(self, event: object) -> None:
        """What is listed is not what is counted: the objects are."""
        if isinstance(event, Outcome):
            self._problems[event.key] = event.reason

    def _look_up(self, items: Sequence[Item]) -> Iterator[Asked]:
        states = self._patience.call(lambda: self._part.states([item.key for item in items]))
        for item in items:
            state = states.get(item.key)
            if state and not state.done:
                yield Asked(item, state)

    def _read(self, asked: Asked) -> Iterator[Wanted]:
        try:
            yield Wanted(asked.item.key, image_of(asked))
        except UnusableFile as problem:
            self._problems[asked.item.key] = str(problem)
        except Exception as error:  # whatever a file can do to a decoder, it must not stop the run
            self._problems[asked.item.key] = f"{type(error).__name__}: {error}"

    def _embed(self, wanted: Sequence[Wanted]) -> Iterator[Ready]:
        outcomes = self._patience.call(lambda: self._embedder.embed([each.image for each in wanted]))
        for each, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(outcome, SidecarRefused):
                self._problems[each.key] = about_one_file(str(outcome))
            else:
                yield Ready(each.key, outcome)

    def _write(self, ready: Sequence[Ready]) -> Iterator[Ready]:
        refused = self._patience.call(lambda: self._part.write({each.key: each.vector_d for each in ready}))
        for each in ready:
            if refusal := refused.get(each.key):
                self._problems[each.key] = refusal.reason
            else:
                self._flow.tell(Outcome(each.key, Fate.UPDATED))
        return iter(())


def image_of(asked: Asked) -> bytes:
    """What is to be embedded of the file that was ingested. Raises UnusableFile where it is another one now."""
    data = asked.item.read()
    state = asked.state
    if state.sha256 and state.sha256 != hashlib.sha256(data).hexdigest():
        raise UnusableFile(CHANGED)
    if not state.sha256 and (not state.stamp or state.stamp != asked.item.stamp):
        raise UnusableFile(UNKNOWN)
    return look_at(data, state.fit, Keep.NONE, False).image


def all_pages(part: NewVectors, patience: Patience) -> Iterator[list[State]]:
    """Every object there is."""
    page = patience.call(lambda: part.page(None))
    while page:
        yield page
        last = page[-1].id
        page = patience.call(lambda: part.page(last))  # noqa: B023 - called at once
