"""Vectors for objects before they are sent: an equal image's from the database, or the sidecar's.

D dimensions
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.identity import StoredModel
from clip_vectorizer.errors import Mismatch, SidecarRefused, SidecarUnreachable
from clip_vectorizer.vectors import Vectors
from clip_vectorizer.wire import about_one_file
from ingest.choices import Keep
from ingest.items import Amendment, ImageObject, ItemOutcome, Status
from ingest.retry import Patience
from ingest.store.base import ImageStore, StoredDuplicate

StoreChange = ImageObject | Amendment
BUSY_STATUSES = (429, 502, 503, 504)  # the sidecar's own words, or those of a proxy before one that restarts
FIRST_REQUEST, LARGEST_REQUEST = 16, 64  # images
# A large model on a CPU takes seconds for an image, and a sidecar answers 503 after 45.
REQUEST_SECONDS = 10.0


def add_vectors(
    changes: Sequence[StoreChange], twins: "DuplicateIndex", embedder: "Embedder | None", patience: Patience
) -> Iterator[StoreChange | ItemOutcome]:
    """The changes; with an `embedder`, every object with a vector, or an Outcome where it could not make one."""
    objects = [change for change in changes if isinstance(change, ImageObject)]
    yield from (change for change in changes if isinstance(change, Amendment))
    linked = patience.call(lambda: list(twins.linked(objects)))
    if embedder is None:
        yield from linked
        return
    yield from (item for item in linked if item.vector_d is not None)
    lacking = [item for item in linked if item.vector_d is None]
    if not lacking:
        return
    outcomes = patience.call(lambda: embedder.embed([item.image for item in lacking]))
    for item, outcome in zip(lacking, outcomes, strict=True):
        if isinstance(outcome, SidecarRefused):
            yield ItemOutcome(item.key, Status.FAILED, about_one_file(str(outcome)), item.source)
        else:
            yield replace(item, vector_d=outcome)


class Embedder(Protocol):
    def embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        """For each its vector (D,), or why it has none. Raises SidecarUnreachable, Mismatch (another model)."""


class SidecarEmbedder:
    """Obeys Embedder: requests through the sidecar's route for files, as large as it can answer soon."""

    def __init__(self, sidecar: VectorizerClient, model: StoredModel) -> None:
        self._sidecar, self._model = sidecar, model
        self._size = FIRST_REQUEST

    def embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        outcomes: list[Vectors | SidecarRefused] = []
        while rest := images[len(outcomes) :]:
            start = time.monotonic()
            part = rest[: self._size]
            outcomes += self._embed(part)
            each = (time.monotonic() - start) / len(part)
            self._size = max(1, min(LARGEST_REQUEST, 2 * len(part), int(REQUEST_SECONDS / each)))
        return outcomes

    def _embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        try:
            outcomes = self._sidecar.embed_each_image(images)
            self._check_model()
        except SidecarRefused as refusal:
            if refusal.status in BUSY_STATUSES:
                raise SidecarUnreachable(str(refusal)) from refusal
            if refusal.status < 500:
                raise
            outcomes = [refusal]
        if len(outcomes) == len(images):
            return outcomes
        half = len(images) // 2  # the model failed on one of them, and took all others with it
        return [*self._embed(images[:half]), *self._embed(images[half:])]

    def _check_model(self) -> None:
        """After each answer: a sidecar that was restarted meanwhile may run another model of the same dimension."""
        now = self._sidecar.meta()
        if not self._model.agrees_with(now):
            raise Mismatch(
                f"the sidecar at {self._sidecar.url} runs {StoredModel.of(now)} now and ran {self._model} at the "
                "start: nothing of it was stored; start the first model again, and the same command goes on"
            )


class DuplicateIndex:
    """Finds equal images, in the database and in this run."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._first: dict[tuple[str, str], str] = {}  # key by content, of this run
        self._replaced: set[str] = set()  # keys that have, or will have, another content than the store says
        self._lock = threading.Lock()

    def linked(self, objects: Sequence[ImageObject]) -> Iterator[ImageObject]:
        """The objects, those that are equal to another one with its key and, if that is stored, its vector."""
        stored = self._store.twins([content_key(item) for item in objects]) if self._store.keep is not Keep.NONE else {}
        with self._lock:
            self._replaced.update(item.key for item in objects if item.replaces)
        for item in objects:
            twin = stored.get(content_key(item))
            first = self._first_of(item, twin)
            vector_d = twin.vector_d if twin else item.vector_d
            yield replace(item, vector_d=vector_d, duplicate_of=first if first != item.key else "")

    def _first_of(self, item: ImageObject, twin: StoredDuplicate | None) -> str:
        """What all equal ones are linked to: the twin's own link, if it has one, lest two are linked to each other."""
        with self._lock:
            stored = (twin.duplicate_of or twin.key) if twin else ""
            if stored and stored not in self._replaced:
                return stored
            return self._first.setdefault(content_key(item), item.key)

    def relinked(self, change: StoreChange) -> StoreChange:
        """Linked to another one where what it was equal to in the database has turned out to be replaced since."""
        if not isinstance(change, ImageObject) or not self.outdated([change]):
            return change
        with self._lock:
            first = self._first.setdefault(content_key(change), change.key)
        return replace(change, duplicate_of=first if first != change.key else "")

    def outdated(self, changes: Sequence[StoreChange]) -> list[str]:
        """The keys of those that `changes` are linked to and that have, or will have, another content."""
        with self._lock:
            linked = [item for item in changes if isinstance(item, ImageObject) and item.duplicate_of in self._replaced]
            return [item.duplicate_of for item in linked if self._first.get(content_key(item)) != item.duplicate_of]


def content_key(item: ImageObject) -> tuple[str, str]:
    return item.sha256, str(item.fit)
