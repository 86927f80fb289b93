"""Where objects go, as the pipeline sees it: a small protocol that Weaviate and the tests' fake obey."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.items import Fingerprint, ImageObject


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    passing: bool = False  # worth another try: overloaded, timed out


class ImageStore(Protocol):
    """All methods may be called from several threads, and raise Unreachable when the store (or its model) is away."""

    @property
    def model(self) -> str:
        """The name of the model that makes the vectors."""

    def held(self, keys: Sequence[str]) -> Mapping[str, Fingerprint]:
        """What the store has under these keys; keys that it does not have are absent. One request."""

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        """Adds or replaces the objects. Answers the refused ones by key: an empty answer means that all are in."""

    def forget(self, keys: Sequence[str]) -> None:
        """Removes what was sent but cannot be found, so that it can be sent afresh."""
