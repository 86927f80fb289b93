"""A collection on its way to another model: begun, ended, called off. What it remembers is its description alone.

From `begin_migration` on nothing else writes into it; searches use the first vector until `finish_migration`, which is one request.

One collection, or one tenant of it, as `--reindex` sees it: which objects lack the new vector, and giving it.

D dimensions
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from weaviate import WeaviateClient
from weaviate.classes.config import Configure
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.collections import CollectionState, add_property, build_index, read_collection
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.identity import CollectionDescription, ModelIdentity, StoredModel
from clip_vectorizer.database.schema import (
    FIT,
    IMAGE,
    MODEL,
    PATH,
    REINDEXED,
    SHA256,
    STAMP,
    exact_text_property,
    image_id,
)
from clip_vectorizer.errors import Mismatch
from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit, Keep
from ingest.store.base import Refusal
from ingest.store.objects import ObjectProperties
from ingest.store.queries import IMAGE_PAGE_SIZE, StoredObject, find_searchable, get_path, is_still_indexing
from ingest.store.weaviate import Patch, apply_patches

DESCRIPTION_TRIES = (
    5  # of a description that is changed while somebody adds a property: Weaviate refuses the older of the two
)
OBJECTS_PER_PAGE = 1000  # objects; one that keeps its image is read with it

STATE_PROPERTIES = [PATH, SHA256, FIT, STAMP, REINDEXED]


@dataclass(frozen=True, slots=True)
class Migration:
    """`stored` as it was at the beginning."""

    collection: str
    stored: CollectionState
    model: StoredModel

    @property
    def vector(self) -> str:
        return self.model.own_vector


def begin_migration(
    client: WeaviateClient, collection: str, info: ModelIdentity, inference_url: str | None
) -> Migration | None:
    """Goes on where an earlier one was broken off; None where the collection has this model's vectors already, and
    one to another model is called off.

    Raises InputError (no such collection), Mismatch (it is on its way to a third model).
    """
    stored = read_collection(client, collection)
    before, model = stored.description, StoredModel.of(info)
    if before.model.agrees_with(info):
        cancel_migration(client, collection, before)
        return None
    if before.moving_to and not before.moving_to.agrees_with(info):
        raise Mismatch(
            f"the collection {collection} is on its way from {before.model} to {before.moving_to}, and the sidecar "
            f"runs {model}; start the second of them to go on, or the first one to call it off"
        )
    update_description(client, collection, replace(before, moving_to=model))
    config = client.collections.use(collection).config
    if REINDEXED not in stored.properties:
        add_property(config, exact_text_property(REINDEXED))
    if model.own_vector not in list_vectors(client, collection):
        add_vector(client, collection, model.own_vector, stored, inference_url)
    return Migration(collection, stored, model)


def finish_migration(client: WeaviateClient, move: Migration) -> None:
    """From this request on the new vector is the one that is searched and written."""
    before = move.stored.description
    retired = {**before.retired, before.vector: before.model.dimension}
    retired.pop(move.vector, None)  # a collection may come back to a model
    update_description(client, move.collection, CollectionDescription(move.model, before.keep, move.vector, retired))


def cancel_migration(client: WeaviateClient, collection: str, before: CollectionDescription) -> None:
    """A vector cannot be removed: it is retired."""
    if model := before.moving_to:
        made = model.own_vector in list_vectors(client, collection)
        retired = {**before.retired, model.own_vector: model.dimension} if made else before.retired
        update_description(client, collection, replace(before, moving_to=None, retired=retired))


def add_vector(
    client: WeaviateClient, collection: str, name: str, stored: CollectionState, inference_url: str | None
) -> None:
    index = build_index(stored.quantizer)
    client.collections.use(collection).config.add_vector(
        vector_config=Configure.Vectors.multi2vec_clip(
            name=name, image_fields=[IMAGE], inference_url=inference_url, vector_index_config=index
        )
        if stored.by_module
        else Configure.Vectors.self_provided(name=name, vector_index_config=index)
    )


def list_vectors(client: WeaviateClient, collection: str) -> set[str]:
    return set(client.collections.use(collection).config.get().vector_config or {})


def update_description(client: WeaviateClient, collection: str, description: CollectionDescription) -> None:
    for attempt in range(1, DESCRIPTION_TRIES + 1):
        try:
            client.collections.use(collection).config.update(description=description.to_json())
            return
        except UnexpectedStatusCodeError:
            if attempt == DESCRIPTION_TRIES:
                raise


@dataclass(frozen=True, slots=True)
class ObjectState:
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


class ReindexTarget:
    """Every method raises Unreachable."""

    def __init__(self, client: WeaviateClient, url: str, move: Migration, tenant: str | None) -> None:
        whole = client.collections.use(move.collection)
        self._collection = whole.with_tenant(tenant) if tenant else whole
        self._client, self._url, self._move = client, url, move
        self._unfound: set[str] = set()  # keys of objects that have the new vector, but not in its index
        self._all_vectors = bool(tenant) and move.stored.by_module  # see WeaviateStore
        self.keeps_images = move.stored.description.keep == Keep.FULL
        self._page = IMAGE_PAGE_SIZE if self.keeps_images else OBJECTS_PER_PAGE

    def count(self) -> int:
        with weaviate_errors(self._url):
            return self._collection.aggregate.over_all(total_count=True).total_count or 0

    def page(self, after: UUID | None) -> list[ObjectState]:
        """The next objects in the order of their ids; none at the end. Past all indexes: it misses nothing."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(
                limit=self._page, after=after, return_properties=STATE_PROPERTIES
            )
        return self._states(found.objects)

    def states(self, keys: Sequence[str]) -> dict[str, ObjectState]:
        return {state.key: state for state in self._states(self._rows(keys, STATE_PROPERTIES))}

    def images(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The stored ones, as they were embedded."""
        rows = self._rows(keys, [PATH, IMAGE])
        return {get_path(row): base64.b64decode(str(row.properties[IMAGE])) for row in rows if row.properties[IMAGE]}

    def write(self, vectors: Mapping[str, Vectors]) -> dict[str, Refusal]:
        """Gives objects the new vector beside all that they have. Answers the refused ones by key."""
        if unfound := {key: -vector_d for key, vector_d in vectors.items() if key in self._unfound}:
            self._unfound -= unfound.keys()
            self.write(unfound)  # an equal vector would not be put into the index, so another one goes before it
        name, model = self._move.vector, self._move.model.model
        present: dict[str, Any] = {}
        if self._all_vectors:
            present = {get_path(row): row.vector for row in self._rows(list(vectors), [PATH], True)}
        properties: ObjectProperties = {MODEL: model, REINDEXED: name}
        patches = {
            key: Patch(properties, {**present.get(key, {}), name: vector_d.tolist()})
            for key, vector_d in vectors.items()
        }
        return apply_patches(self._collection, self._url, patches)

    def _rows(self, keys: Sequence[str], properties: list[str], vectors: bool = False) -> Sequence[StoredObject]:
        ids = [image_id(key) for key in keys]
        with weaviate_errors(self._url):
            return self._collection.query.fetch_objects_by_ids(
                ids, limit=len(ids), include_vector=vectors, return_properties=properties
            ).objects

    def _states(self, rows: Sequence[StoredObject]) -> list[ObjectState]:
        marked = [str(row.uuid) for row in rows if row.properties[REINDEXED] == self._move.vector]
        done = self._searchable(marked) if marked else set()
        self._unfound.update(get_path(row) for row in rows if str(row.uuid) in set(marked) - done)
        return [build_state(row, str(row.uuid) in done) for row in rows]

    def _searchable(self, ids: list[str]) -> set[str]:
        with weaviate_errors(self._url):
            found = find_searchable(self._collection, self._move.vector, self._move.model.dimension, ids, [])
            if len(found) < len(ids) and is_still_indexing(self._client, self._move.collection):
                return set(ids)
        return {str(row.uuid) for row in found}


def build_state(row: StoredObject, done: bool) -> ObjectState:
    sha256, fit, stamp = (str(row.properties[name] or "") for name in (SHA256, FIT, STAMP))
    return ObjectState(row.uuid, get_path(row), sha256, Fit(fit or Fit.CROP), stamp, done)
