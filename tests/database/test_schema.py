import re
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weaviate.classes.config import DataType, Tokenization

from clip_vectorizer.database import schema
from clip_vectorizer.database.schema import CollectionDescription, StoredModel
from clip_vectorizer.errors import InputError

EMOJI = StoredModel("emoji", "abc", 192, "shortest-48-bicubic-v1")


MODELS = st.builds(StoredModel, st.text(), st.text(), st.integers(1, 4096), st.text())
RETIRED = st.dictionaries(st.text(), st.integers(1, 4096))
BESIDE = st.dictionaries(st.text(), MODELS, max_size=2)
DESCRIPTIONS = st.builds(CollectionDescription, MODELS, st.text(), st.text(), RETIRED, st.none() | MODELS, BESIDE)


def test_the_collections_hold_the_properties_of_the_contract() -> None:
    images = sorted(each.name for each in schema.image_properties())
    labels = sorted(each.name for each in schema.label_properties())
    assert images == sorted(
        [
            *schema.OWN_PROPERTIES.difference(schema.PREDICTION_PROPERTIES, schema.CAPTION_PROPERTIES),
            *schema.METADATA_PROPERTIES,
        ]
    )
    assert ",".join(images) == (
        "camera,caption,damaged,duplicate_of,facts,filename,fit,image,label,location,mime,model,page,path,phash,"
        "regions,reindexed,sha256,size,source,stamp,taken_at,thumbnail"
    )
    assert ",".join(labels) == "label,label_set,model,prompt_set,prompt_version,prompts"


def test_an_image_that_is_not_kept_can_still_be_compared() -> None:
    types = {each.name: each.dataType for each in schema.image_properties(DataType.BLOB_HASH)}
    assert (types["image"], types["thumbnail"]) == (DataType.BLOB_HASH, DataType.BLOB)


def test_an_image_keeps_its_id_for_ever() -> None:
    assert schema.image_id("animals/cat.png") == schema.image_id("animals/cat.png") != schema.image_id("cat.png")
    assert UUID(schema.image_id("猫.png")).version == 5


@pytest.mark.parametrize("name", ["", "image", "My Photos", "Bilder-1", "1st", "图片"])
def test_a_collections_name_that_weaviate_refuses_is_refused_first(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a collection"):
        schema.check_collection_name(name)


@pytest.mark.parametrize("name", ["", "..", "a b", "x" * 65, "名"])
def test_a_tenants_name_that_weaviate_refuses_is_refused_first(name: str) -> None:
    with pytest.raises(InputError, match="cannot name a tenant"):
        schema.check_tenant_name(name)


@pytest.mark.parametrize(
    ("column", "name"),
    [("brand", "brand"), ("Brand name", "brand_name"), ("EAN-13 (code)", "eAN_13_code"), ("2nd", "_2nd")],
)
def test_a_column_becomes_a_name_that_weaviate_takes(column: str, name: str) -> None:
    assert schema.property_name(column).lower() == name.lower()


@pytest.mark.parametrize("column", ["label", "Path", "sha256", "id", "vector", "stamp"])
def test_a_column_may_not_be_called_like_one_of_ours(column: str) -> None:
    with pytest.raises(InputError, match=f"--property {column}=my_"):
        schema.property_name(column)


def test_a_column_of_which_no_name_remains_needs_one() -> None:
    with pytest.raises(InputError, match="--property 价格=my_name"):
        schema.property_name("价格")


@given(st.text())
def test_any_column_is_refused_or_becomes_a_name_that_weaviate_takes(column: str) -> None:
    try:
        name = schema.property_name(column)
    except InputError:
        return
    assert name.isascii() and name.isidentifier() and not name[0].isupper() and len(name) < 231
    assert name not in schema.OWN_PROPERTIES


def test_text_of_a_column_is_searched_by_words_and_numbers_by_ranges() -> None:
    assert schema.user_property("brand", DataType.TEXT).tokenization is Tokenization.WORD
    assert schema.user_property("price", DataType.NUMBER).indexRangeFilters
    assert schema.user_property("good", DataType.BOOL).indexRangeFilters is None


@given(DESCRIPTIONS)
def test_json_gives_back_the_description(description: CollectionDescription) -> None:
    assert CollectionDescription.from_json(description.to_json()) == description


def test_a_description_of_an_earlier_version_kept_everything_and_has_the_first_vector() -> None:
    old = '{"model": "emoji", "revision": "abc", "dimension": 192, "preprocessing": "shortest-48-bicubic-v1"}'
    assert CollectionDescription.from_json(old) == CollectionDescription(EMOJI, keep="full", vector="clip")


@pytest.mark.parametrize("text", [None, "", "photos of my cat", "[]", "{}", '{"model": "emoji"}', "null", "3"])
def test_a_description_that_is_not_ours_is_none(text: str | None) -> None:
    assert CollectionDescription.from_json(text) is None


def test_only_a_difference_in_vectors_gets_another_vector_name() -> None:
    assert EMOJI.own_vector == replace(EMOJI, model="local-dir:/models/emoji").own_vector
    changes: list[dict[str, Any]] = [{"revision": "x"}, {"dimension": 512}, {"preprocessing": "squash-48"}]
    names = {EMOJI.own_vector, *(replace(EMOJI, **change).own_vector for change in changes)}
    assert len(names) == 4 and all(re.fullmatch("clip_[0-9a-f]{8}", name) for name in names)


@pytest.mark.parametrize("other", [{"revision": "x"}, {"dimension": 512}, {"preprocessing": "squash-48"}])
def test_models_that_differ_in_what_makes_vectors_disagree(other: dict[str, object]) -> None:
    assert not EMOJI.agrees_with(replace(EMOJI, **other))


def test_the_same_weights_under_another_name_agree() -> None:
    assert EMOJI.agrees_with(replace(EMOJI, model="local-dir:/models/emoji"))
