"""`--dry-run`: everything is read and compared, nothing is written."""

from collections.abc import Iterator, Mapping, Sequence

from clip_vectorizer.identity import StoredModel
from ingest.items import Amendment, Held, ImageObject
from ingest.store import ImageStore, Keep, Refusal, Twin


class ReadOnly:
    """Obeys ImageStore: says yes to every change and makes none."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    @property
    def model(self) -> StoredModel:
        return self._store.model

    @property
    def keep(self) -> Keep:
        return self._store.keep

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        return self._store.held(keys)

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Twin]:
        return self._store.twins(contents)

    def put(self, objects: Sequence[ImageObject]) -> Mapping[str, Refusal]:
        return {}

    def amend(self, amendments: Sequence[Amendment]) -> Mapping[str, Refusal]:
        return {}

    def forget(self, keys: Sequence[str]) -> None:
        pass

    def unlink(self, keys: Sequence[str]) -> None:
        pass

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        return self._store.keys(sources)

    def phashes(self) -> Iterator[tuple[str, str]]:
        return self._store.phashes()
