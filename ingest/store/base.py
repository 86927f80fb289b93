"""The store of images as the pipeline uses it: a protocol, and the stores of a dry run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.vectors import Box, Vectors
from ingest.choices import Keep
from ingest.items import Amendment, ImageObject, StoredState


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the store did not accept an object."""

    reason: str
    transient: bool = False  # transient: overloaded, timed out; another try may succeed


@dataclass(frozen=True, slots=True)
class StoredDuplicate:
    """A stored object with the content of a new one. D dimensions"""

    key: str
    vector_d: Vectors  # (D,)
    duplicate_of: str = ""  # the key that it is linked to itself


@dataclass(frozen=True, slots=True, eq=False)
class RegionObject:
    """A region for the database. D dimensions"""

    key: str  # of its image
    method: str  # how its box was found
    box: Box  # x0, y0, x1, y1 as shares of the upright picture's sides
    objectness: float | None  # 0..1
    rank: int  # from 0, in the order of the method
    label: str
    caption: str
    source: str
    vector_d: Vectors  # (D,) of its crop
    corner: str = ""  # which one of its picture
    line_grid: str = ""  # of a corner: where its rules are, as text


class ImageRegionStore(Protocol):
    """Holds the regions of images. Thread-safe; every method raises Unreachable if the store is away."""

    @property
    def born(self) -> str:
        """What differs between this store and every other one, also of the same name."""

    def replace(self, regions: Mapping[str, Sequence[RegionObject]], stamped: Sequence[str]) -> Mapping[str, Refusal]:
        """Store the regions of each image (by key; perhaps none) in place of those that it has.

        `stamped`: images that record complete regions. That record is removed first, and the new one is stored with
        the image by the caller. Return the images whose regions were refused: they have none then.
        """

    def discard(self, keys: Sequence[str]) -> int:
        """Remove all regions of these images, and what the images record of them first. Return their number."""


class ImageStore(Protocol):
    """Holds objects by key. Thread-safe; every method raises Unreachable if the store or its model is away."""

    @property
    def model(self) -> StoredModel:
        """The model that makes the vectors."""

    @property
    def keep(self) -> Keep:
        """What the store keeps of an image."""

    @property
    def pixel_check(self) -> str:
        """`ModelInfo.pixel_check` of the sidecar that makes the vectors, "" if that must get files."""

    @property
    def regions(self) -> ImageRegionStore | None:
        """The regions of its images, None if it has none. They follow their images whenever these change or go."""

    def states(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        """Return the state of the objects with these keys; missing keys are absent. One request."""

    def find_duplicates(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        """Return for each content (sha256, fit) that the store holds its first object by key."""

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        """Add or replace objects. Return the refused ones by key; none means that all are stored."""

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        """Change properties of stored objects; their vectors stay. Return the refused ones, as `put` does."""

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects: vanished ones, and those that were stored but cannot be found, before they are sent again."""

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        """Yield the keys of all objects of these sources."""

    def phashes(self) -> Iterator[tuple[str, str]]:
        """Yield key and perceptual hash of every object that has a hash and is not a linked duplicate."""

    def unlink(self, keys: Sequence[str]) -> None:
        """Remove the links of duplicates to these objects, which are about to change or go."""


class EmptyStore:
    """The ImageStore of a dry run without a collection or tenant: holds nothing and stores nothing."""

    def __init__(self, model: StoredModel, keep: Keep) -> None:
        self.model, self.keep = model, keep
        self.regions: ImageRegionStore | None = None
        self.pixel_check = ""

    def states(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        return {}

    def find_duplicates(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        return {}

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        return {}

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        return {}

    def delete(self, keys: Sequence[str]) -> None: ...

    def unlink(self, keys: Sequence[str]) -> None: ...

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        return iter(())

    def phashes(self) -> Iterator[tuple[str, str]]:
        return iter(())


class ReadOnlyStore(EmptyStore):
    """The ImageStore of a dry run: reads from a store, accepts every change and makes none."""

    def __init__(self, store: ImageStore) -> None:
        super().__init__(store.model, store.keep)
        self._store = store
        self.regions = NoRegionStore(store.regions.born) if store.regions else None

    def states(self, keys: Sequence[str]) -> Mapping[str, StoredState]:
        return self._store.states(keys)

    def find_duplicates(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredDuplicate]:
        return self._store.find_duplicates(contents)

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        return self._store.keys(sources)

    def phashes(self) -> Iterator[tuple[str, str]]:
        return self._store.phashes()


class NoRegionStore:
    """The ImageRegionStore of a dry run: accepts everything and stores nothing."""

    def __init__(self, born: str = "") -> None:
        self.born = born

    def replace(self, regions: Mapping[str, Sequence[RegionObject]], stamped: Sequence[str]) -> Mapping[str, Refusal]:
        return {}

    def discard(self, keys: Sequence[str]) -> int:
        return 0
