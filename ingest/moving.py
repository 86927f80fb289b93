"""A collection on its way to another model: begun, ended, called off. What it remembers is its description alone.

From `begin` on nothing else writes into it; searches use the first vector until `finish`, which is one request.
"""

from dataclasses import dataclass, replace

from weaviate import WeaviateClient
from weaviate.classes.config import Configure
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.collections import Stored, look_at
from clip_vectorizer.errors import Mismatch
from clip_vectorizer.identity import Description, ModelIdentity, StoredModel
from clip_vectorizer.indexes import index_of
from clip_vectorizer.making import add_property
from clip_vectorizer.schema import IMAGE, REINDEXED, exact_text

TRIES = 5  # of a description that is changed while somebody adds a property: Weaviate refuses the older of the two


@dataclass(frozen=True, slots=True)
class Move:
    """`stored` as it was at the beginning."""

    collection: str
    stored: Stored
    model: StoredModel

    @property
    def vector(self) -> str:
        return self.model.own_vector


def begin(client: WeaviateClient, collection: str, info: ModelIdentity, inference_url: str | None) -> Move | None:
    """Goes on where an earlier one was broken off; None where the collection has this model's vectors already, and
    one to another model is called off.

    Raises InputError (no such collection), Mismatch (it is on its way to a third model).
    """
    stored = look_at(client, collection)
    before, model = stored.description, StoredModel.of(info)
    if before.model.agrees_with(info):
        call_off(client, collection, before)
        return None
    if before.moving_to and not before.moving_to.agrees_with(info):
        raise Mismatch(
            f"the collection {collection} is on its way from {before.model} to {before.moving_to}, and the sidecar "
            f"runs {model}; start the second of them to go on, or the first one to call it off"
        )
    describe(client, collection, replace(before, moving_to=model))
    config = client.collections.use(collection).config
    if REINDEXED not in stored.properties:
        add_property(config, exact_text(REINDEXED))
    if model.own_vector not in vectors_of(client, collection):
        add_vector(client, collection, model.own_vector, stored, inference_url)
    return Move(collection, stored, model)


def finish(client: WeaviateClient, move: Move) -> None:
    """From this request on the new vector is the one that is searched and written."""
    before = move.stored.description
    retired = {**before.retired, before.vector: before.model.dimension}
    retired.pop(move.vector, None)  # a collection may come back to a model
    describe(client, move.collection, Description(move.model, before.keep, move.vector, retired))


def call_off(client: WeaviateClient, collection: str, before: Description) -> None:
    """A vector cannot be removed: it is retired."""
    if model := before.moving_to:
        made = model.own_vector in vectors_of(client, collection)
        retired = {**before.retired, model.own_vector: model.dimension} if made else before.retired
        describe(client, collection, replace(before, moving_to=None, retired=retired))


def add_vector(client: WeaviateClient, collection: str, name: str, stored: Stored, inference_url: str | None) -> None:
    index = index_of(stored.quantizer)
    client.collections.use(collection).config.add_vector(
        vector_config=Configure.Vectors.multi2vec_clip(
            name=name, image_fields=[IMAGE], inference_url=inference_url, vector_index_config=index
        )
        if stored.by_module
        else Configure.Vectors.self_provided(name=name, vector_index_config=index)
    )


def vectors_of(client: WeaviateClient, collection: str) -> set[str]:
    return set(client.collections.use(collection).config.get().vector_config or {})


def describe(client: WeaviateClient, collection: str, description: Description) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            client.collections.use(collection).config.update(description=description.to_json())
            return
        except UnexpectedStatusCodeError:
            if attempt == TRIES:
                raise
