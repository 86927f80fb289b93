from dataclasses import replace
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer import schema
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.identity import StoredModel

EMOJI = StoredModel("emoji", "abc", 192, "shortest-48-bicubic-v1")
OTHER = replace(EMOJI, model="ViT-B-32::openai", revision="def", dimension=512)


class FakeClient:
    """The part of a Weaviate client that the schema uses; `rival` is made by somebody else in the middle of create."""

    def __init__(self, rival: StoredModel | None = None) -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self._rival = rival
        self.collections = self

    def exists(self, name: str) -> bool:
        return name in self.made

    def create(self, name: str, **settings: Any) -> None:
        if self._rival:
            self.made[name] = settings | {"description": self._rival.to_json()}
            raise UnexpectedStatusCodeError.__new__(UnexpectedStatusCodeError)
        self.made[name] = settings

    def use(self, name: str) -> Any:
        settings = self.made[name]
        vectors = {vector.name: vector for vector in settings["vector_config"]}
        found = SimpleNamespace(description=settings["description"], vector_config=vectors)
        return SimpleNamespace(config=SimpleNamespace(get=lambda: found))


def test_a_collection_remembers_the_model_that_made_it() -> None:
    client = FakeClient()
    assert schema.ensure_image_collection(client, EMOJI) == EMOJI
    assert schema.stored_model(client) == EMOJI == schema.check_model(client, EMOJI)


def test_another_model_is_refused_with_both_names_and_the_way_out() -> None:
    client = FakeClient()
    schema.ensure_image_collection(client, EMOJI, "Photos")
    with pytest.raises(Mismatch) as raised:
        schema.ensure_image_collection(client, OTHER, "Photos")
    for part in ("emoji", "ViT-B-32::openai", "--collection Photos2", "/v1/schema/Photos"):
        assert part in str(raised.value)


def test_the_name_of_the_first_run_stays_when_the_weights_are_the_same() -> None:
    client = FakeClient()
    schema.ensure_image_collection(client, EMOJI)
    assert schema.ensure_image_collection(client, replace(EMOJI, model="local-dir:emoji")).model == "emoji"


def test_a_collection_of_somebody_else_is_not_touched() -> None:
    client = FakeClient()
    client.made["Image"] = {"description": "my photos", "vector_config": []}
    with pytest.raises(Mismatch, match="was not made by this project"):
        schema.ensure_image_collection(client, EMOJI)


def test_a_missing_collection_says_how_to_fill_one() -> None:
    with pytest.raises(InputError, match="clip-ingest FOLDER --collection Photos"):
        schema.stored_model(FakeClient(), "Photos")


def test_of_two_that_create_at_once_the_second_checks_the_first() -> None:
    assert schema.ensure_image_collection(FakeClient(rival=EMOJI), EMOJI) == EMOJI
    with pytest.raises(Mismatch):
        schema.ensure_image_collection(FakeClient(rival=OTHER), EMOJI)


@pytest.mark.parametrize("name", ["", "image", "My Photos", "Bilder-1", "1st", "图片"])
def test_a_name_that_weaviate_refuses_is_refused_first(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a collection"):
        schema.ensure_image_collection(FakeClient(), EMOJI, name)


def test_the_collections_hold_the_properties_of_the_contract() -> None:
    images = sorted(each.name for each in schema.image_properties())
    labels = sorted(each.name for each in schema.label_properties())
    assert ",".join(images) == "caption,filename,image,label,mime,model,path,sha256,size,thumbnail"
    assert ",".join(labels) == "label,label_set,model,prompts"


def test_an_image_keeps_its_id_for_ever() -> None:
    assert schema.image_id("animals/cat.png") == schema.image_id("animals/cat.png") != schema.image_id("cat.png")
    assert UUID(schema.image_id("猫.png")).version == 5
