"""What a page needs besides a search: counts, counts of values, one stored image, the vector of a query."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import AsyncImageSearch, ImageSearch, Query
from ingest.items import Facts
from tests.stack.acceptance.in_process import connection
from tests.stack.conftest import New
from tests.stack.search.stored import LEMON, StoredExamples, connect
from tests.stack.storing import GREEN, RED, picture
from tests.stack.support import Stack

pytestmark = pytest.mark.stack

METADATA: dict[str, dict[str, Any]] = {
    "a.png": {"taken_at": datetime(2021, 5, 1, tzinfo=UTC), "indoors": True, "people": 2},
    "b.png": {"taken_at": datetime(2021, 12, 31, 23, 59, 59, tzinfo=UTC), "indoors": True, "people": 2},
    "c.png": {"taken_at": datetime(2023, 1, 1, tzinfo=UTC), "indoors": False, "people": 10},
    "d.png": {},
}


@pytest.fixture
def albums(stack: Stack, new: New) -> Iterator[ImageSearch]:
    """Four pictures with times, a yes or no, and a number."""
    place = new(embed_here=True)
    vector_d = np.ones(256, dtype=np.float32) / 16
    with place.open() as store:
        items = [
            replace(picture(key, data, vector_d), facts=Facts("fruit", "", METADATA[key]))
            for key, data in zip(METADATA, (RED, GREEN, RED, GREEN), strict=True)
        ]
        assert not store.put(items)
    with connect(stack, place.collection) as search:
        yield search


def test_counts_are_those_of_the_listing(found: ImageSearch, stored: StoredExamples) -> None:
    assert found.count() == len(stored.images)
    assert found.count("label=fruit") == sum(image.label == "fruit" for image in stored.images)
    assert found.count(["label=fruit", "label=animals"]) == 0
    with pytest.raises(InputError, match="did you mean label"):
        found.count("lable=fruit")


def test_values_are_counted_most_frequent_first(found: ImageSearch, stored: StoredExamples) -> None:
    expected = Counter(image.label for image in stored.images)
    counts = found.count_values("label")
    assert {each.value: each.count for each in counts} == expected
    assert [each.count for each in counts] == sorted(expected.values(), reverse=True)
    assert [(each.value, each.count) for each in found.count_values("label", "label=fruit")] == [
        ("fruit", expected["fruit"])
    ]
    assert len(found.count_values("label", limit=3)) == 3


def test_of_times_the_years_are_counted_latest_first(albums: ImageSearch) -> None:
    assert [(each.value, each.count) for each in albums.count_values("taken_at")] == [("2023", 1), ("2021", 2)]
    assert [each.value for each in albums.count_values("taken_at", "indoors=true")] == ["2021"]
    assert albums.count_values("taken_at", "path=d.png") == []


def test_booleans_and_numbers_are_counted_as_a_filter_writes_them(albums: ImageSearch) -> None:
    for name, expected in (("indoors", {"true": 2, "false": 1}), ("people", {"2": 2, "10": 1})):
        counts = {each.value: each.count for each in albums.count_values(name)}
        assert counts == expected, "an image without a value is not counted"
        assert all(albums.count(f"{name}={value}") == count for value, count in counts.items())


def test_values_that_are_hardly_ever_equal_and_names_that_do_not_exist_are_refused(found: ImageSearch) -> None:
    with pytest.raises(InputError, match="thumbnail are not counted"):
        found.count_values("thumbnail")
    with pytest.raises(InputError, match="did you mean label"):
        found.count_values("lable")


def test_a_query_is_embedded_as_find_uses_it(found: ImageSearch) -> None:
    for query in ("a red apple", LEMON, Query.text("apple") + Query.text("green") - Query.stored("fruit/lemon.png")):
        vector = found.embed(query)
        assert vector.shape == (256,) and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        by_query, by_vector = found.find(query, limit=5), found.by_vector(vector, limit=5)
        assert [hit.path for hit in by_vector] == [hit.path for hit in by_query]
        assert [hit.similarity for hit in by_vector] == pytest.approx([hit.similarity for hit in by_query], abs=1e-4)


def test_one_image_is_found_by_its_path_or_its_id(found: ImageSearch, stored: StoredExamples) -> None:
    image = found.stored("fruit/lemon.png", return_properties=["size"], include_vector=True, include_thumbnail=True)
    assert (image.path, image.label, image.properties["size"]) == ("fruit/lemon.png", "fruit", LEMON.stat().st_size)
    assert image.vector is not None and np.allclose(image.vector, stored.vector("fruit/lemon.png"), atol=1e-6)
    assert image.thumbnail and image.thumbnail.startswith(b"\xff\xd8")
    assert found.stored(image.id).path == image.path
    with pytest.raises(InputError, match=r"fruit/lemon\.png"):
        found.stored("fruit/lemmon.png")
    with pytest.raises(InputError, match="00000000-0000-0000-0000-000000000000"):
        found.stored("00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pages_of_any_size_list_every_image_once(found: ImageSearch, stored: StoredExamples, size: int) -> None:
    fruit = [image.id for image in found.iterate(filters="label=fruit", page_size=size)]
    assert sorted(fruit) == sorted(image.id for image in stored.images if image.label == "fruit")


def test_the_asynchronous_client_returns_the_same(stack: Stack, examples: str, found: ImageSearch) -> None:
    async def read() -> tuple[Any, ...]:
        search = await AsyncImageSearch.connect(**connection(stack), collection=examples)
        try:
            return (
                await search.count("label=fruit"),
                await search.count_values("label"),
                (await search.stored("fruit/lemon.png")).id,
                dict(search.properties),
                await search.embed("an owl"),
            )
        finally:
            await search.close()

    count, values, id, properties, vector = asyncio.run(read())
    assert count == found.count("label=fruit") and values == found.count_values("label")
    assert id == found.stored("fruit/lemon.png").id and properties == dict(found.properties)
    np.testing.assert_allclose(vector, found.embed("an owl"), atol=1e-6)
