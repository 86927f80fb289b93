"""One collection, or one tenant of it, as `--reindex` sees it: which objects lack the new vector, and giving it.

D dimensions
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from weaviate import WeaviateClient

from clip_vectorizer.failures import weaviate_errors
from clip_vectorizer.schema import FIT, IMAGE, MODEL, PATH, REINDEXED, SHA256, STAMP, image_id
from clip_vectorizer.vectors import Vectors
from ingest.items import Fit
from ingest.moving import Move
from ingest.patches import Patch, patch_all
from ingest.scan import PAGE_OF_IMAGES, Row, path_of
from ingest.searchable import is_still_indexing, searchable
from ingest.store import Keep, Refusal
from ingest.weaviate_objects import Properties

PAGE = 1000  # objects; one that keeps its image is read with it


@dataclass(frozen=True, slots=True)
class State:
    """An object, and whether it has the new vector."""

    id: UUID
    key: str
    sha256: str
    fit: Fit
    stamp: str
    done: bool

    @property
    def held_bytes(self) -> int:
        return 1024


class NewVectors:
    """Every method raises Unreachable."""

    def __init__(self, client: WeaviateClient, url: str, move: Move, tenant: str | None) -> None:
        whole = client.collections.use(move.collection)
        self._collection = whole.with_tenant(tenant) if tenant else whole
        self._client, self._url, self._move = client, url, move
        self._unfound: set[str] = set()  # keys of objects that have the new vector, but not in its index
        self._all_vectors = bool(tenant) and move.stored.by_module  # see WeaviateStore
        self.keeps_images = move.stored.description.keep == Keep.FULL
        self._page = PAGE_OF_IMAGES if self.keeps_images else PAGE

    def count(self) -> int:
        with weaviate_errors(self._url):
            return self._collection.aggregate.over_all(total_count=True).total_count or 0

    def page(self, after: UUID | None) -> list[State]:
        """The next objects in the order of their ids; none at the end. Past all indexes: it misses nothing."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(limit=self._page, after=after, return_properties=ASKED)
        return self._states(found.objects)

    def states(self, keys: Sequence[str]) -> dict[str, State]:
        return {state.key: state for state in self._states(self._rows(keys, ASKED))}

    def images(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The stored ones, as they were embedded."""
        rows = self._rows(keys, [PATH, IMAGE])
        return {path_of(row): base64.b64decode(str(row.properties[IMAGE])) for row in rows if row.properties[IMAGE]}

    def write(self, vectors: Mapping[str, Vectors]) -> dict[str, Refusal]:
        """Gives objects the new vector beside all that they have. Answers the refused ones by key."""
        if unfound := {key: -vector_d for key, vector_d in vectors.items() if key in self._unfound}:
            self._unfound -= unfound.keys()
            self.write(unfound)  # an equal vector would not be put into the index, so another one goes before it
        name, model = self._move.vector, self._move.model.model
        present: dict[str, Any] = {}
        if self._all_vectors:
            present = {path_of(row): row.vector for row in self._rows(list(vectors), [PATH], True)}
        properties: Properties = {MODEL: model, REINDEXED: name}
        patches = {
            key: Patch(properties, {**present.get(key, {}), name: vector_d.tolist()})
            for key, vector_d in vectors.items()
        }
        return patch_all(self._collection, self._url, patches)

    def _rows(self, keys: Sequence[str], properties: list[str], vectors: bool = False) -> Sequence[Row]:
        ids = [image_id(key) for key in keys]
        with weaviate_errors(self._url):
            return self._collection.query.fetch_objects_by_ids(
                ids, limit=len(ids), include_vector=vectors, return_properties=properties
            ).objects

    def _states(self, rows: Sequence[Row]) -> list[State]:
        marked = [str(row.uuid) for row in rows if row.properties[REINDEXED] == self._move.vector]
        done = self._searchable(marked) if marked else set()
        self._unfound.update(path_of(row) for row in rows if str(row.uuid) in set(marked) - done)
        return [state_of(row, str(row.uuid) in done) for row in rows]

    def _searchable(self, ids: list[str]) -> set[str]:
        with weaviate_errors(self._url):
            found = searchable(self._collection, self._move.vector, self._move.model.dimension, ids, [])
            if len(found) < len(ids) and is_still_indexing(self._client, self._move.collection):
                return set(ids)
        return {str(row.uuid) for row in found}


def state_of(row: Row, done: bool) -> State:
    sha256, fit, stamp = (str(row.properties[name] or "") for name in (SHA256, FIT, STAMP))
    return State(row.uuid, path_of(row), sha256, Fit(fit or Fit.CROP), stamp, done)


ASKED = [PATH, SHA256, FIT, STAMP, REINDEXED]
