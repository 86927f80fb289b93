"""`--dry-run`: everything is read and compared, nothing is written."""

from collections.abc import Iterator, Mapping, Sequence

from ingest.empty_store import EmptyStore
from ingest.items import Held
from ingest.store import ImageStore, Twin


class ReadOnly(EmptyStore):
    """Tells what a store holds; says yes to every change, as an empty one does, and makes none."""

    def __init__(self, store: ImageStore) -> None:
        super().__init__(store.model, store.keep)
        self._store = store

    def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        return self._store.held(keys)

    def twins(self, contents: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Twin]:
        return self._store.twins(contents)

    def keys(self, sources: Sequence[str]) -> Iterator[str]:
        return self._store.keys(sources)

    def phashes(self) -> Iterator[tuple[str, str]]:
        return self._store.phashes()
