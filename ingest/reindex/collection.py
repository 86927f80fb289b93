"""A collection that moves to another model: start, finish and cancel the move, and read and write its objects.

The collection's description holds all of the state. From `begin_migration` on nothing else may write to the
collection; searches use the first vector until `finish_migration`.

Or it gets the vectors of another model beside its own (`beside`): the first ones stay those that are searched and
written, so nothing has to stop meanwhile.

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
from clip_vectorizer.database.schema import (
    FIT,
    IMAGE,
    MODEL,
    PATH,
    REINDEXED,
    SHA256,
    STAMP,
    CollectionDescription,
    ModelIdentity,
    StoredModel,
    exact_text_property,
    image_id,
)
from clip_vectorizer.errors import Mismatch
from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit, Keep
from ingest.store.base import Refusal
from ingest.store.objects import (
    IMAGE_PAGE_SIZE,
    ObjectProperties,
    StoredObject,
    find_searchable,
    get_path,
    is_still_indexing,
)
from ingest.store.weaviate import Patch, apply_patches

DESCRIPTION_TRIES = 5  # Weaviate refuses an update of the description while a property is added
OBJECTS_PER_PAGE = 1000  # of a collection that stores no images; a stored image is read with its object
STATE_PROPERTIES = [PATH, SHA256, FIT, STAMP, REINDEXED]
UNMARKED_PROPERTIES = [PATH, SHA256, FIT, STAMP]  # of a collection that was never reindexed


@dataclass(frozen=True, slots=True)
class Migration:
    """A collection, as it was before, and the model that it moves to."""

    collection: str
    stored: CollectionState
    model: StoredModel
    is_marked: bool = True  # objects have the property `reindexed`
    beside: bool = False  # the present model stays

    @property
    def vector(self) -> str:
        return self.model.own_vector


def begin_migration(
    client: WeaviateClient, collection: str, info: ModelIdentity, inference_url: str | None, beside: bool = False
) -> Migration | None:
    """Start the migration to the model `info`, or continue an interrupted one.

    Return None if the collection has this model's vectors already; an unfinished migration away from it is cancelled.
    `beside`: the present model stays, and vectors of `info` are added; those that are there stay, so that a later run
    adds what is missing. Raises InputError (no such collection), Mismatch (an unfinished migration to a third model;
    with `beside` any, or a vector that this model left behind).
    """
    migration = plan_migration(client, collection, info, beside)
    if migration is None:
        if not beside:
            cancel_migration(client, collection)
        return None
    stored, name = migration.stored, migration.vector
    if not beside:
        update_description(client, collection, replace(stored.description, moving_to=migration.model))
    if REINDEXED not in stored.properties:
        add_property(client.collections.use(collection).config, exact_text_property(REINDEXED))
    if name not in list_vectors(client, collection):
        add_vector(client, collection, name, replace(stored, by_module=stored.by_module and not beside), inference_url)
    return replace(migration, is_marked=True)


def plan_migration(
    client: WeaviateClient, collection: str, info: ModelIdentity, beside: bool = False
) -> Migration | None:
    """Return and raise what `begin_migration` does, and write nothing."""
    stored, model = read_collection(client, collection), StoredModel.of(info)
    before = stored.description
    if before.model.agrees_with(info):
        return None
    if beside:
        check_beside(before, model, collection)
    elif before.moving_to and not before.moving_to.agrees_with(info):
        raise Mismatch(
            f"the collection {collection} is on its way from {before.model} to {before.moving_to}, and the sidecar "
            f"runs {model}; start the second of them to continue, or the first one to cancel it"
        )
    return Migration(collection, stored, model, REINDEXED in stored.properties, beside)


def check_beside(before: CollectionDescription, model: StoredModel, collection: str) -> None:
    """Raises Mismatch where the vectors of `model` cannot be added beside the present ones."""
    if before.moving_to:
        raise Mismatch(
            f"the collection {collection} is being moved to the model {before.moving_to}; run clip-ingest --reindex to "
            "its end first, without --beside"
        )
    if model.own_vector in before.retired:
        raise Mismatch(
            f"the collection {collection} was once made with {model}, and its objects have stand-ins for that model's "
            "vectors; move it back (--reindex without --beside), or use another collection "
            f"(--collection {collection}2)"
        )


def finish_migration(client: WeaviateClient, migration: Migration) -> None:
    """Switch in one request: from now on the new vector is searched and written; or searched by its own model."""
    if migration.beside:
        before = read_collection(client, migration.collection).description
        beside = {**before.beside, migration.vector: migration.model}
        update_description(client, migration.collection, replace(before, beside=beside))
        return
    before = migration.stored.description
    retired = {**before.retired, before.vector: before.model.dimension}
    retired.pop(migration.vector, None)  # a collection may return to a model
    beside = {name: model for name, model in before.beside.items() if name != migration.vector}
    description = CollectionDescription(migration.model, before.keep, migration.vector, retired, beside=beside)
    update_description(client, migration.collection, description)


def cancel_migration(client: WeaviateClient, collection: str) -> None:
    """Cancel an unfinished migration, if there is one. Its vector is retired, because Weaviate cannot remove one."""
    before = read_collection(client, collection).description
    if model := before.moving_to:
        exists = model.own_vector in list_vectors(client, collection)
        retired = {**before.retired, model.own_vector: model.dimension} if exists else before.retired
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
    """What the database has under a key, and whether that has the new vector (`done`)."""

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
    """One collection, or one tenant of it, in a migration. Every method raises Unreachable."""

    def __init__(self, client: WeaviateClient, url: str, migration: Migration, tenant: str | None) -> None:
        whole = client.collections.use(migration.collection)
        self._collection = whole.with_tenant(tenant) if tenant else whole
        self._client, self._url, self._migration = client, url, migration
        self._unindexed: set[str] = set()  # keys of objects that have the new vector, but not in its index
        self._all_vectors = bool(tenant) and migration.stored.by_module  # see WeaviateStore._patch
        self.keeps_images = migration.stored.description.keep == Keep.FULL
        self._page_size = IMAGE_PAGE_SIZE if self.keeps_images else OBJECTS_PER_PAGE
        self._state_properties = STATE_PROPERTIES if migration.is_marked else UNMARKED_PROPERTIES

    def count(self) -> int:
        with weaviate_errors(self._url):
            return self._collection.aggregate.over_all(total_count=True).total_count or 0

    def page(self, after: UUID | None) -> list[ObjectState]:
        """Return the next objects in the order of their ids, [] at the end. Reads no index, so it misses none."""
        with weaviate_errors(self._url):
            found = self._collection.query.fetch_objects(
                limit=self._page_size, after=after, return_properties=self._state_properties
            )
        return self._states(found.objects)

    def states(self, keys: Sequence[str]) -> dict[str, ObjectState]:
        return {state.key: state for state in self._states(self._rows(keys, self._state_properties))}

    def images(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Return the stored images, as they were embedded, by key."""
        rows = self._rows(keys, [PATH, IMAGE])
        return {get_path(row): base64.b64decode(str(row.properties[IMAGE])) for row in rows if row.properties[IMAGE]}

    def write(self, vectors: Mapping[str, Vectors]) -> dict[str, Refusal]:
        """Add the new vectors (D,) to the objects, which keep everything else. Return the refused ones by key."""
        if unindexed := {key: -vector_d for key, vector_d in vectors.items() if key in self._unindexed}:
            self._unindexed -= unindexed.keys()
            self.write(unindexed)  # Weaviate does not index an equal vector again, so write a different one first
        name, model = self._migration.vector, self._migration.model.model
        present: dict[str, Any] = {}
        if self._all_vectors:
            present = {get_path(row): row.vector for row in self._rows(list(vectors), [PATH], True)}
        properties: ObjectProperties = {REINDEXED: name} if self._migration.beside else {MODEL: model, REINDEXED: name}
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
        marked = [str(row.uuid) for row in rows if row.properties.get(REINDEXED) == self._migration.vector]
        done = self._find_searchable(marked) if marked else set()
        self._unindexed.update(get_path(row) for row in rows if str(row.uuid) in set(marked) - done)
        return [build_state(row, str(row.uuid) in done) for row in rows]

    def _find_searchable(self, ids: list[str]) -> set[str]:
        with weaviate_errors(self._url):
            found = find_searchable(self._collection, self._migration.vector, self._migration.model.dimension, ids, [])
            if len(found) < len(ids) and is_still_indexing(self._client, self._migration.collection):
                return set(ids)
        return {str(row.uuid) for row in found}


def build_state(row: StoredObject, done: bool) -> ObjectState:
    sha256, fit, stamp = (str(row.properties[name] or "") for name in (SHA256, FIT, STAMP))
    return ObjectState(row.uuid, get_path(row), sha256, Fit(fit or Fit.CROP), stamp, done)
