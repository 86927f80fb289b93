from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from weaviate.classes.config import DataType
from weaviate.classes.query import Filter

from clip_vectorizer.database import schema
from clip_vectorizer.database.schema import CollectionDescription
from ingest.choices import Fit
from ingest.items import Amendment, Facts, ImageObject, StoredState, UnusableFile, digest_facts
from ingest.store.base import Refusal
from ingest.store.objects import (
    CollectionProperties,
    build_amendment_properties,
    build_data_object,
    build_each,
    get_path,
    iterate_matching,
    make_placeholder_vector,
    read_stored_state,
)
from tests.ingest.fakes import MODEL

KNOWN = {"brand": DataType.TEXT, "taken_at": DataType.DATE, "page": DataType.INT, "camera": DataType.TEXT}
FACTS = Facts("animals", "a cat", {"brand": "Ajax"})
VECTOR = np.array([0, 0.5, 1], dtype=np.float32)


def columns() -> CollectionProperties:
    config: Any = SimpleNamespace()  # never used: all properties exist
    return CollectionProperties(config, KNOWN)


def item(**changes: Any) -> ImageObject:
    fields: dict[str, Any] = {
        "key": "animals/cat.png",
        "source": "/photos",
        "stamp": "12ab",
        "sha256": "c0ffee" * 10 + "abcd",
        "fit": Fit.CROP,
        "facts": FACTS,
        "mime": "image/png",
        "size": 4,
        "image": b"data",
        "thumbnail": b"small",
        "phash": "00ff" * 4,
        "duplicate_of": "dog.png",
    }
    return ImageObject(**fields | changes)


def sent(keep: str, **changes: Any) -> Any:
    return build_data_object(item(**changes), CollectionDescription(MODEL, keep), columns())


def test_an_object_has_all_properties_of_the_schema_that_apply() -> None:
    facts = Facts("", "", {"page": 1, "camera": "x", "taken_at": datetime(2020, 1, 1, tzinfo=UTC)})
    properties = sent("full", facts=facts).properties
    assert {each.name for each in schema.image_properties()} - properties.keys() == {
        "damaged",
        "location",
        "reindexed",
        "regions",
    }
    assert (properties["image"], properties["filename"]) == ("ZGF0YQ==", "cat.png")


def test_a_stored_object_is_read_as_its_state() -> None:
    made = sent("thumbnail")
    assert made.uuid == schema.image_id("animals/cat.png")
    assert read_stored_state(made.properties) == StoredState(
        item().sha256, "crop", "12ab", digest_facts(FACTS), "/photos", "00ff" * 4
    )


def test_an_object_of_an_earlier_version_was_cropped_and_its_stamp_is_unknown() -> None:
    old = {"path": "a.png", "sha256": "abc", "fit": None, "stamp": None, "facts": None, "source": None, "phash": None}
    assert read_stored_state(old) == StoredState("abc", "crop", "", "", "", "")


@pytest.mark.parametrize(
    ("keep", "vector_d", "has"),
    [
        ("full", None, True),
        ("full", VECTOR, True),
        ("thumbnail", None, True),  # Weaviate makes the vector, and keeps a hash
        ("thumbnail", VECTOR, False),
        ("none", VECTOR, False),
    ],
)
def test_the_image_is_sent_where_it_is_kept_or_weaviate_needs_it(keep: str, vector_d: Any, has: bool) -> None:
    assert ("image" in sent(keep, vector_d=vector_d).properties) is has


def test_where_nothing_is_kept_no_hash_is_either() -> None:
    assert "sha256" not in sent("none", vector_d=VECTOR).properties


def test_a_vector_that_is_given_has_the_name_of_the_present_one() -> None:
    made = build_data_object(item(vector_d=VECTOR), CollectionDescription(MODEL, vector="clip_2"), columns())
    assert made.vector == {"clip_2": [0, 0.5, 1]}
    assert sent("full").vector is None


def test_retired_vectors_get_stand_ins_also_where_weaviate_makes_the_present_one() -> None:
    description = CollectionDescription(MODEL, vector="clip_2", retired={"clip": 8})
    made = build_data_object(item(), description, columns())
    assert made.vector == {"clip": make_placeholder_vector(item().sha256, 8).tolist()}


def test_stand_ins_are_equal_for_equal_images_and_point_anywhere_for_others() -> None:
    first, second = make_placeholder_vector("a" * 64, 64), make_placeholder_vector("b" * 64, 64)
    np.testing.assert_array_equal(first, make_placeholder_vector("a" * 64, 64))
    assert abs(float(first @ first) - 1) < 1e-6 and abs(float(first @ second)) < 0.6


def test_an_amendment_changes_what_it_names_and_nothing_else() -> None:
    only_stamp = build_amendment_properties(Amendment("a", "/photos", "new", None), columns())
    assert only_stamp == {"source": "/photos", "stamp": "new"}
    all_of_it = build_amendment_properties(Amendment("a", "/photos", "new", FACTS, "ff" * 8), columns())
    assert all_of_it == only_stamp | {
        "label": "animals",
        "caption": "a cat",
        "brand": "Ajax",
        "facts": digest_facts(FACTS),
        "phash": "ff" * 8,
    }


def test_an_object_that_cannot_be_made_is_refused_and_the_others_are_not() -> None:
    def make(each: ImageObject) -> str:
        if each.key == "b":
            raise UnusableFile("no")
        return each.key.upper()

    made, refused = build_each([item(key=key) for key in "abc"], make)
    assert (made, refused) == ({"a": "A", "c": "C"}, {"b": Refusal("no")})


class FakeCollection:
    """Answers range filters over paths as Weaviate does: at most `limit`, in no certain order."""

    def __init__(self, paths: set[str]) -> None:
        self._paths = paths
        self.query = self
        self.requests = 0

    def fetch_objects(self, filters: Any, limit: int, return_properties: list[str]) -> Any:
        self.requests += 1
        found = sorted((path for path in self._paths if holds(filters, path)), key=lambda path: path[::-1])
        return SimpleNamespace(objects=[SimpleNamespace(properties={"path": path}) for path in found[:limit]])


def holds(where: Any, path: str) -> bool:
    if hasattr(where, "filters"):
        return all(holds(each, path) for each in where.filters)
    if where.target != "path":
        return True
    return path <= where.value if where.operator.value == "LessThanEqual" else path > where.value


SOURCE = Filter.by_property("source").equal("/photos")


@given(st.sets(st.text(min_size=1), max_size=60), st.integers(2, 9))
def test_everything_is_found_once_however_small_a_page(paths: set[str], page: int) -> None:
    found = [get_path(row) for row in iterate_matching(FakeCollection(paths), SOURCE, [], page)]
    assert sorted(found) == sorted(paths)


def test_a_single_page_is_one_request() -> None:
    collection = FakeCollection({"a", "b"})
    assert len(list(iterate_matching(collection, SOURCE, [], 3))) == 2 and collection.requests == 1
