"""Searches among images and their regions, against a database in memory and a ranking of everything at once."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weaviate.classes.config import DataType
from weaviate.classes.query import Filter
from weaviate.collections.classes.filters import _FilterValue
from weaviate.collections.classes.internal import MetadataReturn, Object, QueryReturn

from clip_vectorizer.database.regions import region_id
from clip_vectorizer.database.schema import image_id
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Hit, ImageSearch, Query
from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall
from clip_vectorizer.query.search.regions import BOXES
from clip_vectorizer.vectors import Vectors, unit
from tests.query.fakes import INFO, FakeImages, FakeSidecar, vector_of
from tests.query.zeroshot_fakes import stores

IMAGES = SearchTarget("Image", {"path": DataType.TEXT, "label": DataType.TEXT, "size": DataType.NUMBER})
REGION_PROPERTIES = {"path": DataType.TEXT, "label": DataType.TEXT, "area": DataType.NUMBER, "x0": DataType.NUMBER}
REGIONS = replace(IMAGES, collection="ImageRegion", properties=REGION_PROPERTIES)
CASES = st.builds(
    lambda seed, images, each: (seed, images, each),
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.integers(0, 5),
)


@dataclass(frozen=True)
class Row:
    """An object of either collection."""

    id: str
    vector_d: Vectors
    properties: dict[str, Any]


@dataclass
class MemoryImages:
    """A SearchableCollection with regions, which obeys filters by id, path and numbers."""

    images: list[Row]
    regions: list[Row]
    target: SearchTarget = IMAGES
    calls: list[WeaviateCall] = field(default_factory=list)

    def open_regions(self) -> SearchTarget:
        return REGIONS

    def execute(self, call: WeaviateCall) -> Any:
        self.calls.append(call)
        rows = self.regions if call.collection else self.images
        given = call.arguments
        vector = given.get("near_vector")
        query_d = unit(np.array(vector, np.float32)) if vector else vector_of(given["query"])
        found = [row for row in rows if matches(given.get("filters"), row)]
        distances = {row.id: 1 - float(row.vector_d @ query_d) for row in found}
        near = [row for row in found if distances[row.id] <= given.get("distance", 2.1)]
        best = sorted(near, key=lambda row: distances[row.id])[: given["limit"]]
        return QueryReturn([to_object(row, distances[row.id]) for row in best])


def matches(condition: Any, row: Row) -> bool:
    if condition is None:
        return True
    if not isinstance(condition, _FilterValue):
        combine = {"And": all, "Or": any}[condition.operator.value]
        return combine(matches(each, row) for each in condition.filters)
    value, wanted = row.id if condition.target == "_id" else row.properties[str(condition.target)], condition.value
    compared: dict[str, Callable[[Any, Any], bool]] = {
        "ContainsAny": lambda one, other: one in other,
        "LessThan": operator.lt,
        "GreaterThan": operator.gt,
        "NotEqual": operator.ne,
        "Equal": operator.eq,
    }
    return compared[condition.operator.value](value, wanted)


def to_object(row: Row, distance: float) -> Object[Any, Any]:
    return Object(UUID(row.id), MetadataReturn(distance=distance), row.properties, None, {}, "Image")


def fill(seed: int, images: int, each: int) -> MemoryImages:
    """Images with up to `each` regions, all of random vectors."""
    random = np.random.default_rng(seed)
    rows, regions = [], []
    for number in range(images):
        path = f"{number}.png"
        rows.append(Row(image_id(path), draw(random), {"path": path, "label": str(number % 2), "size": number}))
        for rank in range(int(random.integers(0, each + 1))):
            box = (0.1 * rank, 0.0, 1.0, 1.0)
            place = dict(zip(("x0", "y0", "x1", "y1"), box, strict=True))
            more = {"method": "grid", "rank": rank, "area": 1 - box[0], "label": str(number % 2)}
            regions.append(Row(region_id(path, "grid", box), draw(random), {"path": path, **place, **more}))
    regions = regions or [Row(region_id("gone.png", "grid", (0, 0, 1, 1)), draw(random), region_of("gone.png"))]
    return MemoryImages(rows, regions)


def region_of(path: str, area: float = 1.0, rank: int = 0) -> dict[str, Any]:
    return {
        "path": path, "x0": 0.0, "y0": 0.0, "x1": area, "y1": 1.0, "area": area, "method": "grid", "rank": rank,
        "label": "", "objectness": 0.5,
    }  # fmt: skip


def draw(random: np.random.Generator) -> Vectors:
    return unit(random.standard_normal(3).astype(np.float32))


def search(images: Any) -> ImageSearch:
    return ImageSearch(INFO, FakeSidecar(), images, stores)


def rank_everything(images: MemoryImages, query_d: Vectors) -> list[tuple[float, str]]:
    """All images by the larger of both similarities, each computed."""
    scores = {row.properties["path"]: float(row.vector_d @ query_d) for row in images.images}
    for region in images.regions:
        path = region.properties["path"]
        if path in scores:
            scores[path] = max(scores[path], float(region.vector_d @ query_d))
    return sorted(((score, path) for path, score in scores.items()), key=lambda each: (-each[0], each[1]))


def similarities(hits: Sequence[Hit]) -> list[float]:
    return [hit.similarity for hit in hits]


@settings(max_examples=60)
@given(case=CASES, limit=st.integers(1, 12), offset=st.integers(0, 12))
def test_a_page_is_that_part_of_the_ranking_of_everything(case: tuple[int, int, int], limit: int, offset: int) -> None:
    images = fill(*case)
    hits = search(images).by_text("red", limit=limit, offset=offset, regions=True)
    expected = rank_everything(images, vector_of("red"))[offset : offset + limit]
    assert [hit.path for hit in hits] == [path for _, path in expected]
    np.testing.assert_allclose(similarities(hits), [score for score, _ in expected], atol=1e-5)


@given(case=CASES)
@settings(max_examples=20)
def test_every_hit_has_its_best_regions_nearest_first(case: tuple[int, int, int]) -> None:
    images = fill(*case)
    for hit in search(images).find(Query.vector([1, 2, 3]), limit=50, regions=True):
        query_d = unit(np.array([1, 2, 3], np.float32))
        own = [float(row.vector_d @ query_d) for row in images.regions if row.properties["path"] == hit.path]
        expected = sorted(own, reverse=True)[:BOXES]
        np.testing.assert_allclose([each.similarity for each in hit.regions], expected, atol=1e-5)
        assert hit.whole is not None and np.isclose(hit.similarity, max([hit.whole, *expected]), atol=1e-5)


def test_pages_join_to_the_whole_ranking() -> None:
    images = fill(5, 30, 4)
    pages = list(search(images).pages("red", size=7, regions=True))
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    found = [hit.path for page in pages for hit in page]
    assert found == [path for _, path in rank_everything(images, vector_of("red"))]


def one(path: str, colour: str, size: int = 1) -> Row:
    return Row(image_id(path), vector_of(colour), {"path": path, "label": "", "size": size})


def part(path: str, colour: str, area: float, rank: int = 0) -> Row:
    return Row(region_id(path, "grid", (0, 0, area, 1)), vector_of(colour), region_of(path, area, rank))


SMALL_AND_LARGE = MemoryImages(
    [one("small.png", "blue", 1), one("large.png", "green", 2), one("whole.png", "red", 3)],
    [part("small.png", "red", 0.1), part("large.png", "red", 0.9), part("whole.png", "blue", 0.5)],
)


def found(*filters: str, **more: Any) -> list[str]:
    return [hit.path for hit in search(SMALL_AND_LARGE).by_text("red", filters=filters, regions=True, **more)]


def test_a_filter_about_regions_alone_leaves_whole_pictures_out() -> None:
    assert found("area<0.2") == ["small.png"]
    assert set(found("area>0.2", min_similarity=0.9)) == {"large.png"}


def test_a_filter_about_images_alone_filters_the_images_of_regions_too() -> None:
    assert found("size>2") == ["whole.png"]
    assert found("size<2") == ["small.png"]
    assert found("size>1", "area>0.2") == ["large.png", "whole.png"]


def test_the_least_similarity_is_that_of_the_picture_or_of_a_region() -> None:
    assert sorted(found(min_similarity=0.9)) == ["large.png", "small.png", "whole.png"]


def test_a_stored_image_does_not_find_itself_by_its_regions() -> None:
    images = MemoryImages([one("a.png", "red"), one("b.png", "blue")], [part("a.png", "red", 0.5)])

    class WithStored(MemoryImages):
        def execute(self, call: WeaviateCall) -> Any:
            if call.method == "fetch_objects":
                return QueryReturn([replace_vector(to_object(self.images[0], 0.0), self.images[0].vector_d)])
            return super().execute(call)

    like = WithStored(images.images, images.regions)
    assert [hit.path for hit in search(like).find(Query.stored("a.png"), regions=True)] == ["b.png"]


def replace_vector(found: Object[Any, Any], vector_d: Vectors) -> Object[Any, Any]:
    return replace(found, vector={"clip": vector_d.tolist()})


def test_more_regions_are_fetched_where_the_first_are_of_few_images() -> None:
    crowd = [part("crowd.png", "red", 0.001 * number, number) for number in range(1, 401)]
    images = MemoryImages([one("crowd.png", "blue"), one("b.png", "blue")], [*crowd, part("b.png", "red green", 1.0)])
    hits = search(images).by_text("red", limit=2, regions=True)
    assert [hit.path for hit in hits] == ["crowd.png", "b.png"]
    limits = [call.arguments["limit"] for call in images.calls if call.collection]
    assert limits[:2] == [100, 400] and limits[2] > 400


def test_a_list_that_is_not_known_further_ends_there() -> None:
    crowd = [part("crowd.png", "red", number / MAX_RESULTS, number) for number in range(MAX_RESULTS + 1)]
    images = MemoryImages([one("crowd.png", "blue"), one("b.png", "blue")], [*crowd, part("b.png", "red green", 1.0)])
    assert [hit.path for hit in search(images).by_text("red", limit=2, regions=True)] == ["crowd.png"]


def test_without_stored_regions_the_error_names_the_command_that_makes_them() -> None:
    with pytest.raises(InputError, match=r"no regions of the collection Colours .* clip-ingest SOURCE --regions grid"):
        search(FakeImages()).by_text("red", regions=True)
    with pytest.raises(InputError, match="clip-ingest SOURCE --regions grid"):
        search(MemoryImages([one("a.png", "red")], [])).by_text("red", regions=True)


@pytest.mark.parametrize("arguments", [{"alpha": 0.5}, {"diversity": 0.5}, {"auto_limit": 1}, {"deduplicate": True}])
def test_what_needs_one_list_of_hits_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"remove {next(iter(arguments))}, or regions"):
        search(SMALL_AND_LARGE).by_text("red", regions=True, **arguments)


def test_groups_are_refused() -> None:
    with pytest.raises(InputError, match="remove regions"):
        search(SMALL_AND_LARGE).groups("red", regions=True)


@pytest.mark.parametrize("filters", ["arae<0.2", "nonsense"])
def test_a_filter_that_neither_collection_has_is_named(filters: str) -> None:
    with pytest.raises(InputError, match=filters.split("<")[0]):
        search(SMALL_AND_LARGE).by_text("red", regions=True, filters=filters)


def test_a_filter_of_the_client_is_refused() -> None:
    with pytest.raises(InputError, match="write filters as texts"):
        search(SMALL_AND_LARGE).by_text("red", regions=True, filters=Filter.by_property("area").less_than(1))


def test_an_explanation_has_both_calls_and_their_collections() -> None:
    explanation = search(SMALL_AND_LARGE).explain("red", limit=7, regions=True)
    text = str(explanation)
    assert 'use("Image")' in explanation.python and 'use("ImageRegion")' in explanation.python
    assert "limit=7" in explanation.python and explanation.graphql and "Get { ImageRegion(" in explanation.graphql
    assert "the larger of the whole picture's and its best region's" in text.replace("\n#   ", " ")
    only = search(SMALL_AND_LARGE).explain("red", regions=True, filters="area<0.5")
    assert 'use("Image")' not in only.python and "less_than(0.5)" in only.python
