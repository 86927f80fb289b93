"""Where objects go, as the pipeline sees it: a small protocol that Weaviate and the tests' fake obey."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from clip_vectorizer.identity import StoredModel
from clip_vectorizer.vectors import Vectors
from ingest.items import Amendment, Held, ImageObject


class Keep(StrEnum):
    """What of an image stays in the database, beside its vector and what is known of it."""

    FULL = "full"  # the file and a thumbnail
    THUMBNAIL = "thumbnail"
    HASH = "hash"  # no picture
    NONE = "none"  # no picture and no hash of one: equal files are not recognised, only equal stamps


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    passing: bool = False  # worth another try: overloaded, timed out


@dataclass(frozen=True, slots=True)
class Twin:
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

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        """What the store has under these keys; keys that it does not have are absent. One request."""

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Twin]:
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
