"""What a dry run finds where there is no collection yet, or no such tenant."""

from collections.abc import Iterator, Mapping, Sequence

from clip_vectorizer.identity import StoredModel
from ingest.items import Amendment, Held, ImageObject
from ingest.store import Keep, Refusal, Twin


class EmptyStore:
    """Obeys ImageStore: holds nothing and takes nothing in."""

    def __init__(self, model: StoredModel, keep: Keep) -> None:
        self.model, self.keep = model, keep

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        return {}

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Twin]:
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
