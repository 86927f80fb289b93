from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.schema import CollectionDescription
from clip_vectorizer.errors import Mismatch
from ingest.reindex.collection import Migration, begin_migration, finish_migration, plan_migration
from tests.ingest.fakes import MODEL

OTHER = replace(MODEL, model="other", revision="2", dimension=5)
THIRD = replace(MODEL, model="third", revision="3")
KEPT = CollectionDescription(MODEL, "hash")


class FakeClient:
    """One collection, on a server that refuses the first `busy` changes of its description."""

    def __init__(self, description: CollectionDescription = KEPT, busy: int = 0) -> None:
        self.description, self._busy = description, busy
        self.vectors = {description.vector: ""}  # inference URL by name
        self.made_by: dict[str, str] = {}  # the module that makes an added vector, by its name
        self.properties = ["path"]
        self.collections = self.config = self

    def exists(self, _: str) -> bool:
        return True

    def use(self, _: str) -> Any:
        return self

    def get(self) -> Any:
        vectors = {
            name: SimpleNamespace(
                vectorizer=SimpleNamespace(vectorizer="multi2vec-clip", model={"inferenceUrl": url}),
                vector_index_config=None,
            )
            for name, url in self.vectors.items()
        }
        return SimpleNamespace(
            description=self.description.to_json(),
            vector_config=vectors,
            properties=[SimpleNamespace(name=name, data_type="text", tokenization=None) for name in self.properties],
            multi_tenancy_config=SimpleNamespace(enabled=False),
        )

    def add_property(self, added: Any) -> None:
        self.properties.append(added.name)

    def add_vector(self, vector_config: Any) -> None:
        made_by = vector_config.vectorizer
        self.vectors[vector_config.name] = getattr(made_by, "inferenceUrl", None) or ""
        self.made_by[vector_config.name] = str(made_by.vectorizer.value)

    def update(self, description: str) -> None:
        if self._busy:
            self._busy -= 1
            raise UnexpectedStatusCodeError("property fields cannot be updated", httpx.Response(422, json={}))
        found = CollectionDescription.from_json(description)
        assert found
        self.description = found


def started(client: Any, model: Any = OTHER, url: str | None = None) -> Migration | None:
    return begin_migration(client, "Image", model, url)


def test_a_migration_is_described_in_the_collection_and_keeps_the_first_vector() -> None:
    client = FakeClient()
    move = started(client, url="http://sidecar:9090")
    assert move and move.vector == OTHER.own_vector
    assert client.description == replace(KEPT, moving_to=OTHER)
    assert client.vectors == {"clip": "", move.vector: "http://sidecar:9090"}
    assert "reindexed" in client.properties


def test_an_interrupted_migration_continues() -> None:
    client = FakeClient()
    started(client)
    before = dict(client.vectors)
    assert started(client) and client.vectors == before and client.properties.count("reindexed") == 1


def test_the_switch_is_one_update_and_retires_the_first_vector() -> None:
    client: Any = FakeClient()
    move = started(client)
    assert move
    finish_migration(client, move)
    assert client.description == CollectionDescription(OTHER, "hash", move.vector, {"clip": MODEL.dimension})


def test_a_collection_can_return_to_a_model() -> None:
    client: Any = FakeClient()
    for model in (OTHER, MODEL, OTHER):
        move = started(client, model)
        assert move
        finish_migration(client, move)
    dimensions = {"clip": MODEL.dimension, MODEL.own_vector: MODEL.dimension}
    assert client.description == CollectionDescription(OTHER, "hash", OTHER.own_vector, dimensions)


def test_a_collection_with_the_models_vectors_needs_no_migration() -> None:
    client = FakeClient()
    assert started(client, replace(MODEL, model="local-dir:same")) is None
    assert client.description == KEPT and list(client.vectors) == ["clip"]


def test_the_first_model_cancels_a_migration_and_retires_its_vector() -> None:
    client = FakeClient()
    started(client)
    assert started(client, MODEL) is None
    assert client.description == replace(KEPT, retired={OTHER.own_vector: OTHER.dimension})


def test_a_migration_cancelled_before_it_has_a_vector_leaves_nothing() -> None:
    client = FakeClient(replace(KEPT, moving_to=OTHER))
    assert started(client, MODEL) is None
    assert client.description == KEPT


def test_a_plan_writes_nothing() -> None:
    client: Any = FakeClient(busy=99)
    plan = plan_migration(client, "Image", OTHER)
    assert plan and plan.vector == OTHER.own_vector and not plan.is_marked
    assert (client.description, client.vectors, client.properties) == (KEPT, {"clip": ""}, ["path"])


def test_a_plan_for_the_first_model_cancels_nothing() -> None:
    client: Any = FakeClient()
    started(client)
    assert plan_migration(client, "Image", MODEL) is None and client.description.moving_to == OTHER
    again = plan_migration(client, "Image", OTHER)
    assert again and again.is_marked


def test_a_third_model_is_refused() -> None:
    client = FakeClient()
    started(client)
    with pytest.raises(Mismatch, match=r"from mean-colour .* to other .* the sidecar runs third .*cancel it"):
        started(client, THIRD)


def test_a_description_that_weaviate_refuses_while_a_property_is_added_is_sent_again() -> None:
    client = FakeClient(busy=2)
    started(client)
    assert client.description.moving_to == OTHER
    with pytest.raises(UnexpectedStatusCodeError):
        started(FakeClient(busy=99))


def added_beside(client: Any, model: Any = OTHER) -> Migration:
    move = begin_migration(client, "Image", model, None, beside=True)
    assert move
    finish_migration(client, move)
    return move


def test_vectors_beside_change_no_more_than_their_own_entry_at_the_end() -> None:
    client: Any = FakeClient()
    move = begin_migration(client, "Image", OTHER, None, beside=True)
    assert move and client.description == KEPT and client.made_by == {OTHER.own_vector: "none"}
    finish_migration(client, move)
    assert client.description == replace(KEPT, beside={OTHER.own_vector: OTHER})
    added_beside(client, THIRD)
    assert client.description.beside == {OTHER.own_vector: OTHER, THIRD.own_vector: THIRD}


def test_a_later_run_adds_what_is_missing_beside() -> None:
    client: Any = FakeClient()
    added_beside(client)
    before = (client.description, dict(client.vectors))
    assert added_beside(client).is_marked and (client.description, client.vectors) == before


def test_a_collection_may_move_to_a_model_that_was_beside() -> None:
    client: Any = FakeClient()
    added_beside(client)
    added_beside(client, THIRD)
    move = started(client)
    assert move
    finish_migration(client, move)
    assert client.description == CollectionDescription(
        OTHER, "hash", OTHER.own_vector, {"clip": MODEL.dimension}, beside={THIRD.own_vector: THIRD}
    )


def test_the_models_own_vectors_are_not_added_beside_and_nothing_is_cancelled() -> None:
    client: Any = FakeClient()
    assert begin_migration(client, "Image", MODEL, None, beside=True) is None
    started(client)
    assert begin_migration(client, "Image", MODEL, None, beside=True) is None
    assert client.description.moving_to == OTHER


def test_nothing_is_added_beside_a_collection_that_moves_or_has_stand_ins() -> None:
    client: Any = FakeClient()
    move = started(client)
    with pytest.raises(Mismatch, match=r"is being moved to the model other .* to its end first, without --beside"):
        plan_migration(client, "Image", THIRD, beside=True)
    assert move
    finish_migration(client, move)
    back = started(client, MODEL)
    assert back
    finish_migration(client, back)
    with pytest.raises(Mismatch, match=r"once made with other .* stand-ins .* without --beside"):
        begin_migration(client, "Image", OTHER, None, beside=True)
