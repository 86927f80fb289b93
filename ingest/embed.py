"""Vectors for objects before the upload: from an equal image in the database, or from the sidecar.

D dimensions
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import Mismatch, SidecarRefused, SidecarUnreachable
from clip_vectorizer.vectors import Vectors
from ingest.choices import Keep
from ingest.items import Amendment, ImageObject, ItemOutcome, Status
from ingest.retry import Patience
from ingest.store.base import ImageStore, StoredDuplicate

StoreChange = ImageObject | Amendment
BUSY_STATUSES = (429, 502, 503, 504)  # from the sidecar, or from a proxy in front of one that restarts
FIRST_REQUEST, LARGEST_REQUEST = 16, 64  # images
# Aim for requests of this length: a large model on a CPU takes seconds for an image, and a sidecar gives up after 45.
REQUEST_SECONDS = 10.0


def add_vectors(
    changes: Sequence[StoreChange], duplicates: "DuplicateIndex", embedder: "Embedder | None", patience: Patience
) -> Iterator[StoreChange | ItemOutcome]:
    """Yield the changes; with an `embedder`, each object with its vector, or a failed outcome without one.

    Objects with the content of another image are linked to it. Raises Unreachable, Mismatch.
    """
    objects = [change for change in changes if isinstance(change, ImageObject)]
    yield from (change for change in changes if isinstance(change, Amendment))
    linked = patience.call(lambda: list(duplicates.link(objects)))
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
            yield ItemOutcome(item.key, Status.FAILED, describe_refusal(outcome), item.source)
        else:
            yield replace(item, vector_d=outcome)


def describe_refusal(refusal: SidecarRefused) -> str:
    """Return why an image was refused, without its position in the request: the report has its key."""
    return refusal.problem.reason if refusal.problem else str(refusal)


class Embedder(Protocol):
    """Whatever makes vectors of images: the sidecar, or a fake in tests."""

    def embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        """Return for each image its vector (D,) or the refusal. Raises SidecarUnreachable, Mismatch (another model)."""


class SidecarEmbedder:
    """An Embedder that sends files to the sidecar, in requests that take about REQUEST_SECONDS."""

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
        half = len(images) // 2  # the model failed on one of them, so the whole request failed
        return [*self._embed(images[:half]), *self._embed(images[half:])]

    def _check_model(self) -> None:
        """Check after each response: a restarted sidecar may run another model of the same dimension."""
        now = self._sidecar.meta()
        if not self._model.agrees_with(now):
            raise Mismatch(
                f"the sidecar at {self._sidecar.url} runs {StoredModel.of(now)} now and ran {self._model} at the "
                "start: no vector of it was stored; start the first model again and repeat the command to continue"
            )


class DuplicateIndex:
    """Finds equal images, in the database and in this run. Thread-safe."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store
        self._first: dict[tuple[str, str], str] = {}  # key by content, of this run
        self._replaced: set[str] = set()  # keys whose content changes in this run
        self._lock = threading.Lock()

    def link(self, objects: Sequence[ImageObject]) -> Iterator[ImageObject]:
        """Yield the objects; one that equals another with that one's key and, if it is stored, its vector."""
        stored = (
            self._store.find_duplicates([content_key(item) for item in objects])
            if self._store.keep is not Keep.NONE
            else {}
        )
        with self._lock:
            self._replaced.update(item.key for item in objects if item.replaces)
        for item in objects:
            duplicate = stored.get(content_key(item))
            first = self._first_of(item, duplicate)
            vector_d = duplicate.vector_d if duplicate else item.vector_d
            yield replace(item, vector_d=vector_d, duplicate_of=first if first != item.key else "")

    def _first_of(self, item: ImageObject, duplicate: StoredDuplicate | None) -> str:
        """Return the key that all equal objects link to: a duplicate links to the original only, to avoid a cycle."""
        with self._lock:
            stored = (duplicate.duplicate_of or duplicate.key) if duplicate else ""
            if stored and stored not in self._replaced:
                return stored
            return self._first.setdefault(content_key(item), item.key)

    def relink(self, change: StoreChange) -> StoreChange:
        """Return the change, linked to another object if the stored one that it equalled has been replaced since."""
        if not isinstance(change, ImageObject) or not self.find_outdated([change]):
            return change
        with self._lock:
            first = self._first.setdefault(content_key(change), change.key)
        return replace(change, duplicate_of=first if first != change.key else "")

    def find_outdated(self, changes: Sequence[StoreChange]) -> list[str]:
        """Return the keys that `changes` are linked to and whose content changes in this run."""
        with self._lock:
            linked = [item for item in changes if isinstance(item, ImageObject) and item.duplicate_of in self._replaced]
            return [item.duplicate_of for item in linked if self._first.get(content_key(item)) != item.duplicate_of]


def content_key(item: ImageObject) -> tuple[str, str]:
    """Return what equal images have in common."""
    return item.sha256, str(item.fit)
