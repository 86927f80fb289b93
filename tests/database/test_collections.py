import json
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest
from weaviate.classes.config import DataType
from weaviate.exceptions import UnexpectedStatusCodeError, WeaviateInvalidInputError

from clip_vectorizer.database.collections import (
    CollectionSpec,
    CollectionState,
    add_property,
    build_index,
    check_model,
    ensure_image_collection,
    ensure_label_collection,
    read_collection,
    select_model,
)
from clip_vectorizer.database.schema import CollectionDescription, StoredModel, exact_text_property, image_properties
from clip_vectorizer.defaults import RESCORED_CANDIDATES
from clip_vectorizer.errors import InputError, Mismatch

EMOJI = StoredModel("emoji", "abc", 192, "shortest-48-bicubic-v1")
OTHER = replace(EMOJI, model="ViT-B-32::openai", revision="def", dimension=512)


class FakeClient:
    """The part of a Weaviate client that makes collections; `rival` is created by another client during our create."""

    def __init__(self, rival: StoredModel | None = None, version: str = "1.39.0") -> None:
        self.made: dict[str, dict[str, Any]] = {}
        self._rival, self._version = rival, version
        self.collections = self

    def get_meta(self) -> dict[str, str]:
        return {"version": self._version}

    def exists(self, name: str) -> bool:
        return name in self.made

    def create(self, name: str, **settings: Any) -> None:
        if self._rival:
            self.made[name] = settings | {"description": CollectionDescription(self._rival, "thumbnail").to_json()}
            raise UnexpectedStatusCodeError.__new__(UnexpectedStatusCodeError)
        self.made[name] = settings

    def use(self, name: str) -> Any:
        settings = self.made[name]
        return SimpleNamespace(
            config=SimpleNamespace(get=lambda: found(settings), add_property=settings["properties"].append)
        )


def found(settings: dict[str, Any]) -> Any:
    """The configuration as the client returns it."""
    vectors = {
        vector.name: SimpleNamespace(vectorizer=vectorizer(vector), vector_index_config=None)
        for vector in settings["vector_config"]
    }
    return SimpleNamespace(
        description=settings["description"],
        vector_config=vectors,
        properties=[
            SimpleNamespace(name=each.name, data_type=each.dataType, tokenization=each.tokenization)
            for each in settings["properties"]
        ],
        multi_tenancy_config=SimpleNamespace(enabled=settings.get("multi_tenancy_config") is not None),
    )


def vectorizer(vector: Any) -> Any:
    return SimpleNamespace(vectorizer=vector.vectorizer.vectorizer, model={})


def made(client: FakeClient, model: StoredModel = EMOJI, collection: str = "Image", **wish: Any) -> CollectionState:
    return ensure_image_collection(client, model, collection, CollectionSpec(**wish))


def test_a_collection_stores_its_model_and_its_keep_setting() -> None:
    client = FakeClient()
    assert made(client, keep="hash").description == CollectionDescription(EMOJI, "hash")
    assert made(client).description == read_collection(client).description == CollectionDescription(EMOJI, "hash")


def test_a_new_collection_keeps_thumbnails_and_only_hashes_of_images() -> None:
    stored = made(FakeClient())
    assert (stored.description.keep, stored.properties["image"]) == ("thumbnail", DataType.BLOB_HASH)
    assert stored.words == ("caption",)
    assert made(FakeClient(), keep="full").properties["image"] is DataType.BLOB


def test_the_error_for_a_weaviate_without_hashes_of_images_names_two_ways_out() -> None:
    with pytest.raises(InputError, match=r"Weaviate 1\.36\.2 .*--keep full or --embed client"):
        made(FakeClient(version="1.36.2"))
    assert made(FakeClient(version="1.36.2"), embed_here=True).properties["image"] is DataType.BLOB
    assert made(FakeClient(version="1.36.2"), keep="full").description.keep == "full"


def test_vectors_are_made_by_weaviate_where_it_has_the_module() -> None:
    assert made(FakeClient()).by_module and not made(FakeClient(), by_module=False).by_module


def test_another_model_is_refused_with_both_names_and_the_way_out() -> None:
    client = FakeClient()
    made(client, collection="Photos")
    with pytest.raises(Mismatch) as raised:
        made(client, OTHER, "Photos")
    for part in ("emoji", "ViT-B-32::openai", "--collection Photos2", "/v1/schema/Photos"):
        assert part in str(raised.value)


def test_a_model_searches_its_own_vectors_and_those_beside_are_never_made_by_weaviate() -> None:
    description = CollectionDescription(EMOJI, "hash", "clip", {"old": 3}, beside={"clip_1": OTHER})
    stored = CollectionState(description, {}, False, by_module=True, inference_url="http://i:1")
    assert select_model(stored, replace(EMOJI, model="local-dir:emoji")) is stored
    assert select_model(stored, replace(OTHER, revision="x")) is stored
    beside = select_model(stored, OTHER)
    assert (beside.description.vector, beside.description.model) == ("clip_1", OTHER)
    assert (beside.by_module, beside.inference_url) == (False, None)
    check_model(beside, OTHER, "Image")
    with pytest.raises(Mismatch, match=r"give it vectors of both .--reindex --beside."):
        check_model(stored, OTHER, "Image")


def test_the_name_of_the_first_run_stays_when_the_weights_are_the_same() -> None:
    client = FakeClient()
    made(client)
    assert made(client, replace(EMOJI, model="local-dir:emoji")).description.model.model == "emoji"


def test_the_keep_setting_of_a_collection_does_not_change() -> None:
    client = FakeClient()
    made(client, keep="full")
    with pytest.raises(InputError, match=r"created with --keep full; remove --keep hash, or use another"):
        made(client, keep="hash")


def test_tenants_are_had_from_the_beginning_or_not_at_all() -> None:
    with_tenants, without = FakeClient(), FakeClient()
    assert made(with_tenants, tenants=True).tenants and not made(without).tenants
    with pytest.raises(InputError, match=r"has tenants; name one \(--tenant NAME\)"):
        made(with_tenants)
    with pytest.raises(InputError, match="has no tenants; remove --tenant"):
        made(without, tenants=True)


def test_a_collection_of_an_earlier_version_keeps_full_images_and_gets_what_it_lacks() -> None:
    client = FakeClient()
    made(client, keep="full")
    old = client.made["Image"]
    old["properties"] = [each for each in image_properties() if each.name not in ("source", "stamp", "fit")]
    old["description"] = json.dumps(asdict(EMOJI))
    stored = made(client)
    assert stored.description.keep == "full" and {"source", "stamp", "fit"} <= stored.properties.keys()


def test_a_collection_on_its_way_to_another_model_takes_nothing_in_until_it_is_there() -> None:
    client = FakeClient()
    made(client)
    client.made["Image"]["description"] = CollectionDescription(EMOJI, "thumbnail", moving_to=OTHER).to_json()
    for model in (EMOJI, OTHER):
        with pytest.raises(Mismatch, match=r"being moved to the model ViT-B-32::openai.*--reindex"):
            made(client, model)
    check_model(read_collection(client), EMOJI, "Image")  # searches go on


def test_a_foreign_collection_is_not_touched() -> None:
    client = FakeClient()
    client.made["Image"] = {"description": "my photos", "vector_config": [], "properties": []}
    with pytest.raises(Mismatch, match="was not made by this project"):
        made(client)


def test_the_error_for_a_missing_collection_has_the_command_that_fills_one() -> None:
    with pytest.raises(InputError, match="clip-ingest FOLDER --collection Photos"):
        read_collection(FakeClient(), "Photos")


def test_the_second_of_two_simultaneous_creates_checks_the_first() -> None:
    assert made(FakeClient(rival=EMOJI)).description.model == EMOJI
    with pytest.raises(Mismatch):
        made(FakeClient(rival=OTHER))


def test_labels_have_a_collection_of_their_own() -> None:
    client = FakeClient()
    ensure_label_collection(client, EMOJI)
    with pytest.raises(Mismatch):
        ensure_label_collection(client, OTHER)
    assert list(client.made) == ["ImageLabel"]


class FasterRival:
    """Another client adds the property during our call; without a `rival`, Weaviate refuses it."""

    def __init__(self, rival: bool) -> None:
        self._names = ["phash"] if rival else []

    def add_property(self, _: object) -> None:
        raise WeaviateInvalidInputError("already exists")

    def get(self) -> Any:
        return SimpleNamespace(properties=[SimpleNamespace(name=name) for name in self._names])


def test_a_property_added_by_another_client_meanwhile_is_accepted() -> None:
    add_property(FasterRival(rival=True), exact_text_property("phash"))
    with pytest.raises(WeaviateInvalidInputError):
        add_property(FasterRival(rival=False), exact_text_property("phash"))


def test_an_index_of_8_bits_compares_a_page_of_candidates_again_and_others_what_weaviate_chooses() -> None:
    limits = {name: build_index(name).quantizer for name in ("rq-8", "rq-1", "none")}
    assert (
        limits["rq-8"].rescoreLimit == RESCORED_CANDIDATES >= 41
    )  # a page of the gallery, and one to see if more follow
    assert limits["rq-1"].rescoreLimit is None and limits["none"] is None
