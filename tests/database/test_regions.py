import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weaviate.classes.config import DataType

from clip_vectorizer.database.collections import CollectionState
from clip_vectorizer.database.regions import (
    BOX,
    RegionCollectionState,
    RegionDescription,
    check_region_model,
    name_region_collection,
    region_id,
    region_properties,
    write_description,
)
from clip_vectorizer.database.schema import VECTOR, CollectionDescription, StoredModel, image_id
from clip_vectorizer.errors import Mismatch

MODEL = StoredModel("emoji", "r1", 256, "p3")
SHARES = st.integers(0, 1000).map(lambda thousandths: thousandths / 1000)
BOXES = st.tuples(SHARES, SHARES, SHARES, SHARES)


@given(path=st.text(), box=BOXES, other=BOXES)
def test_an_id_is_of_path_method_and_box(path: str, box: tuple[float, ...], other: tuple[float, ...]) -> None:
    id = region_id(path, "grid", box)
    assert (region_id(path, "grid", other) == id) == (box == other)
    assert len({id, region_id(path, "boxes", box), region_id(path + "x", "grid", box), image_id(path)}) == 4


def test_boxes_nearer_than_rounding_are_one() -> None:
    assert region_id("a", "grid", (0, 0, 1 / 3, 1)) == region_id("a", "grid", (0, 0, 0.33333334, 1))


def test_numbers_are_filtered_by_ranges_and_there_are_no_cross_references() -> None:
    properties = {each.name: each for each in region_properties()}
    assert all(properties[name].indexRangeFilters for name in (*BOX, "area", "objectness", "rank"))
    assert {each.dataType for each in properties.values()} <= {
        *(DataType.TEXT, DataType.NUMBER, DataType.INT, DataType.BLOB)
    }
    assert {"path", "label", "caption", "source", "model", "method"} <= properties.keys()


def test_a_description_has_the_model_the_images_and_its_birth() -> None:
    one, other = write_description("Shop", MODEL, "clip_x"), write_description("Shop", MODEL, "clip_x")
    ours, theirs = CollectionDescription.from_json(one), RegionDescription.from_json(one)
    assert ours and (ours.model, ours.vector) == (MODEL, "clip_x")
    assert theirs and theirs.images == "Shop" and theirs != RegionDescription.from_json(other)
    assert name_region_collection("Shop") == "ShopRegion"


@pytest.mark.parametrize("text", [None, "", "shop", "[]", json.dumps({"regions_of": "Shop"})])
def test_another_description_is_none_of_regions(text: str | None) -> None:
    assert RegionDescription.from_json(text) is None


def test_regions_of_another_model_or_vector_are_refused_with_the_way_out() -> None:
    stored = CollectionState(CollectionDescription(MODEL), {}, tenants=False, by_module=True)
    found = RegionCollectionState("ShopRegion", "1", stored)
    check_region_model(found, "Shop", replace(MODEL, model="another name"), VECTOR)
    for model, vector in ((replace(MODEL, revision="r2"), VECTOR), (MODEL, "clip_x")):
        with pytest.raises(Mismatch, match=r"delete the regions .*schema/ShopRegion.*clip-ingest SOURCE --regions"):
            check_region_model(found, "Shop", model, vector)
