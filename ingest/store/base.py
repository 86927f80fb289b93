"""Where objects go, as the pipeline sees it: a small protocol that Weaviate and the tests' fake obey.

What a dry run finds where there is no collection yet, or no such tenant.

`--dry-run`: everything is read and compared, nothing is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clip_vectorizer.database.identity import StoredModel
from clip_vectorizer.vectors import Vectors
from ingest.choices import Keep
from ingest.items import Amendment, ImageObject, StoredState


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    passing: bool = False  # worth another try: overloaded, timed out


@dataclass(frozen=True, slots=True)
class StoredDuplicate:
    """An object with the same content as a new one. D dimensions"""

    key: str
    vector_d: Vectors  # (D,)
    duplicate_of: str = ""  # the object that it is linked to itself


class ImageStore(Protocol):
    """All methods may be called from several threads, and raise Unreachable when the store (or its model) is away."""

    @property
    def model(self) -> StoredModel:
        """The model that makes the vectors."""

    @property
    def keep(self) -> Keep:
        """What the store keeps of an image."""

    def held(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        """What the store has under these keys; keys that it does not have are absent. One request."""

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        """For each content (sha256, fit) that the store holds, one object that has it: the first by key."""

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        """Adds or replaces the objects. Answers the refused ones by key: an empty answer means that all are in."""

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        """Changes properties of objects that are there; their vectors stay. Answers as `put` does."""

    def forget(self, keys: Sequence[str]) -> None:
        """Removes objects: vanished ones, and what was sent but cannot be found, so that it can be sent afresh."""

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        """The keys of all objects that came from these sources."""

    def phashes(self) -> Iterator[tuple[str, str]]:
        """Key and perceptual hash of every object that has one and is no linked duplicate."""

    def unlink(self, keys: Sequence[str]) -> None:
        """Frees objects that are duplicates of these, which are about to go."""


class EmptyStore:
    """Obeys ImageStore: holds nothing and takes nothing in."""

    def __init__(self, model: StoredModel, keep: Keep) -> None:
        self.model, self.keep = model, keep

    def held(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        return {}

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        return {}

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        return {}

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        return {}

    def forget(self, keys: Sequence[str]) -> None: ...

    def unlink(self, keys: Sequence[str]) -> None: ...

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        return iter(())

    def phashes(self) -> Iterator[tuple[str, str]]:
        return iter(())


class ReadOnlyStore(EmptyStore):
    """Tells what a store holds; says yes to every change, as an empty one does, and makes none."""

    def __init__(self, store: ImageStore) -> None:
        super().__init__(store.model, store.keep)
        self._store = store

    def held(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        return self._store.held(keys)

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        return self._store.twins(contents)

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        return self._store.keys(sources)

    def phashes(self) -> Iterator[tuple[str, str]]:
        return self._store.phashes()
