"""Searches by a corner of a page, against a database in memory."""

import io
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from weaviate.classes.config import DataType
from weaviate.collections.classes.internal import MetadataReturn, Object, QueryReturn

from clip_vectorizer.boxes import CORNERS
from clip_vectorizer.database.regions import region_id
from clip_vectorizer.database.schema import image_id
from clip_vectorizer.errors import InputError
from clip_vectorizer.images.line_grid import measure_line_grid
from clip_vectorizer.query import Query
from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall
from clip_vectorizer.query.search.corners import RERANKED
from clip_vectorizer.vectors import Vectors
from tests.images.test_line_grid import FORM, OTHER, THIRD, block
from tests.query.search.test_regions import REGIONS, MemoryImages, Row, matches, search

CORNER_TARGET = replace(REGIONS, properties={**REGIONS.properties, "corner": DataType.TEXT, "line_grid": DataType.TEXT})
FORMS = {"form": FORM, "other": OTHER, "third": THIRD}
CORNER = "corner:bottom-right"


@dataclass
class MemoryPages(MemoryImages):
    """Pages with corners; objects are found by filters too."""

    regions_target: SearchTarget = CORNER_TARGET

    def open_regions(self) -> SearchTarget:
        return self.regions_target

    def execute(self, call: WeaviateCall) -> Any:
        if call.method != "fetch_objects":
            return super().execute(call)
        self.calls.append(call)
        rows = self.regions if call.collection else self.images
        found = [row for row in rows if matches(call.arguments.get("filters"), row)]
        return QueryReturn([to_object(row) for row in found])


def to_object(row: Row) -> Object[Any, Any]:
    return Object(UUID(row.id), MetadataReturn(), row.properties, None, {"clip": row.vector_d.tolist()}, "Image")


def turned(degrees: float) -> Vectors:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0], np.float32)


def page_row(path: str, degrees: float = 90.0) -> Row:
    return Row(image_id(path), turned(degrees), {"path": path, "label": path[:1], "size": 1})


def corner_row(path: str, degrees: float, form: str = "", corner: str = "bottom-right", seed: int = 1) -> Row:
    grid = measure_line_grid(block(FORMS[form], texts=seed)).to_text() if form else ""
    place = {"x0": 0.5, "y0": 0.65, "x1": 1.0, "y1": 1.0}
    more = {"method": "corners", "rank": 3, "area": 0.175, "label": path[:1], "corner": corner, "line_grid": grid}
    return Row(region_id(path + corner, "corners", (0, 0, 1, 1)), turned(degrees), {"path": path, **place, **more})


def pages() -> MemoryPages:
    """Of the nearest by vectors, b.pdf has another form; c.pdf and d.pdf have the same; the upper corners agree."""
    lower = {
        "a.pdf": (0, "form"),
        "b.pdf": (5, "other"),
        "c.pdf": (20, "form"),
        "d.pdf": (30, "form"),
        "e.pdf": (3, ""),
    }
    corners = [corner_row(path, degrees, form, seed=n) for n, (path, (degrees, form)) in enumerate(lower.items())]
    upper = [corner_row(path, 0, "third", "top-left") for path in lower]
    return MemoryPages([page_row(path) for path in lower], [*upper, *corners])


def test_pages_with_the_same_block_come_first_each_once_and_without_the_query() -> None:
    hits = search(pages()).find(Query.stored("a.pdf"), regions=CORNER)
    assert [hit.path for hit in hits] == ["c.pdf", "d.pdf", "b.pdf", "e.pdf"]
    first = hits[0]
    assert first.similarity == pytest.approx(np.cos(np.radians(20)), abs=1e-5) and first.whole is None
    assert [(region.corner, region.method) for region in first.regions] == [("bottom-right", "corners")]
    lines = [hit.regions[0].lines or 0.0 for hit in hits]
    assert lines[1] > 0.9 > lines[2] > lines[3] == 0.0
    assert first.score == pytest.approx(0.9 * (first.regions[0].lines or 0) + 0.1 * first.similarity)


def test_another_corner_is_another_search_and_a_page_of_the_query_may_be_a_hit() -> None:
    query = Query.stored("a.pdf", include_self=True)
    assert {round(hit.similarity, 5) for hit in search(pages()).find(query, regions="corner:top-left")} == {1.0}
    assert search(pages()).find(query, regions=CORNER)[0].path == "a.pdf"


def test_offset_and_limit_count_in_the_order_by_rules() -> None:
    hits = search(pages()).find(Query.stored("a.pdf"), regions=CORNER, limit=2, offset=1)
    assert [hit.path for hit in hits] == ["d.pdf", "b.pdf"]


def test_filters_of_images_and_of_regions_hold() -> None:
    by_image = search(pages()).find(Query.stored("a.pdf"), regions=CORNER, filters="size<2")
    assert len(by_image) == 4
    assert [hit.path for hit in search(pages()).find(Query.stored("a.pdf"), regions=CORNER, filters="label=d")] == [
        "d.pdf"
    ]


def test_a_sum_of_pages_is_ordered_by_vectors_alone() -> None:
    hits = search(pages()).find(Query.stored("a.pdf") + Query.stored("c.pdf"), regions=CORNER)
    assert [hit.path for hit in hits] == ["b.pdf", "e.pdf", "d.pdf"]
    assert all(hit.score is None and hit.regions[0].lines is None for hit in hits)


def test_a_picture_of_a_block_is_compared_by_its_rules() -> None:
    page = block(texts=30)
    out = io.BytesIO()
    page.crop((page.width - 440, page.height - 210, page.width - 10, page.height - 10)).save(out, "PNG")
    hits = search(pages()).find(Query.image(out.getvalue()), regions=CORNER)
    assert {hit.path for hit in hits[:3]} == {"a.pdf", "c.pdf", "d.pdf"}


def test_a_picture_that_cannot_be_read_is_named() -> None:
    with pytest.raises(InputError, match=r"no-such\.png: No such file"):
        search(pages()).find(Query.image("no-such.png"), regions=CORNER)


def test_a_page_or_a_collection_without_corners_is_refused_with_the_way_to_make_them() -> None:
    images = pages()
    images.images.append(page_row("f.pdf"))
    with pytest.raises(InputError, match=r"f\.pdf has no corners stored; .*clip-ingest SOURCE --regions corners"):
        search(images).find(Query.stored("f.pdf"), regions=CORNER)
    with pytest.raises(InputError, match="the collection Image has no corners stored"):
        search(MemoryPages(images.images, [], regions_target=REGIONS)).find(Query.stored("a.pdf"), regions=CORNER)
    with pytest.raises(InputError, match="the collection Image has no corners stored"):
        search(MemoryPages(images.images, [])).find("a block", regions=CORNER)


@pytest.mark.parametrize("text", ["corner:bottom", "corner:", "bottom-right", "corner", "", "grid:top-left"])
def test_a_corner_that_is_none_is_refused_with_those_there_are(text: str) -> None:
    with pytest.raises(InputError) as refused:
        search(pages()).find(Query.stored("a.pdf"), regions=text)
    assert all(f"corner:{name}" in str(refused.value) for name in CORNERS)


def test_an_explanation_names_the_order_by_rules() -> None:
    text = str(search(pages()).explain(Query.stored("a.pdf"), regions=CORNER))
    assert f"puts the nearest {RERANKED} in order by their rules" in text and 'equal("bottom-right")' in text
