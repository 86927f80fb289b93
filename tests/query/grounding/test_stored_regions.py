"""Reading stored regions: which queries are made, and what is raised where something is missing."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from weaviate.classes.config import DataType
from weaviate.collections.classes.internal import MetadataReturn, Object, QueryReturn

from clip_vectorizer.database.schema import image_id
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.grounding.stored_regions import CollectionRegionReader
from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall
from tests.query.fakes import INFO

BLOBS = {"image": DataType.BLOB, "thumbnail": DataType.BLOB}
TARGET = SearchTarget("Pictures", {"path": DataType.TEXT, "duplicate_of": DataType.TEXT, **BLOBS})
BOX = {"x0": 0.0, "y0": 0.25, "x1": 0.5, "y1": 1.0}
OWL: Mapping[str, object] = {"path": "owl.png", "image": base64.b64encode(b"owl").decode()}
COPY: Mapping[str, object] = {"path": "copy.png", "duplicate_of": "owl.png"}


def build_object(properties: Mapping[str, object], vector: list[float] | None = None) -> Object[Any, Any]:
    id = UUID(image_id(str(properties.get("path"))))
    return Object(id, MetadataReturn(), dict(properties), None, {"clip": vector} if vector else {}, "Pictures")


@dataclass
class Pictures:
    """A SearchableCollection of `owl.png`, which has a region, and its copy, which has none."""

    images: list[Mapping[str, object]] = field(default_factory=lambda: [OWL, COPY])
    vector: list[float] | None = field(default_factory=lambda: [0.0, 3.0, 4.0])
    box: Mapping[str, object] = field(default_factory=lambda: BOX)
    has_regions: bool = True
    target: SearchTarget = TARGET
    queries: list[str] = field(default_factory=list)  # the collections

    def open_regions(self) -> SearchTarget:
        if not self.has_regions:
            raise InputError("no regions")
        return SearchTarget("PicturesRegion", {})

    def execute(self, call: WeaviateCall) -> QueryReturn[Any, Any]:
        self.queries.append(call.collection or "Pictures")
        if call.collection:
            wanted = call.arguments["filters"].value
            return QueryReturn([build_object(self.box, self.vector)] if wanted == "owl.png" else [])
        return QueryReturn([build_object(each) for each in self.images])


def test_an_image_is_one_query() -> None:
    pictures = Pictures()
    reader = CollectionRegionReader(pictures, INFO)
    for _ in range(2):
        found = reader.fetch("owl.png")
    assert pictures.queries == ["PicturesRegion", "PicturesRegion"]
    assert found.path == "owl.png" and found.boxes_n4.tolist() == [[0.0, 0.25, 0.5, 1.0]]
    np.testing.assert_allclose(found.vectors.vectors_nd, [[0, 0.6, 0.8]], atol=1e-6)  # stored ones may have any length


def test_objectness_is_read_where_there_is_any() -> None:
    found = [
        CollectionRegionReader(Pictures(box=box), INFO).fetch("owl.png") for box in (BOX, {**BOX, "objectness": 0.5})
    ]
    np.testing.assert_array_equal([each.vectors.objectness_n for each in found], [[np.nan], [0.5]])


def test_an_id_is_looked_up_first() -> None:
    pictures = Pictures()
    assert CollectionRegionReader(pictures, INFO).fetch(image_id("owl.png")).path == "owl.png"
    assert pictures.queries == ["Pictures", "PicturesRegion"]


def test_a_copy_has_the_regions_of_its_original() -> None:
    found = CollectionRegionReader(Pictures(), INFO).fetch("copy.png")
    assert found.path == "copy.png" and len(found.boxes_n4) == 1


@pytest.mark.parametrize("has_regions", [True, False])
def test_an_image_without_regions_names_how_to_make_them(has_regions: bool) -> None:
    pictures = Pictures(images=[{"path": "lemon.png"}], has_regions=has_regions)
    with pytest.raises(InputError, match=r"lemon\.png: no regions are stored; make them with `clip-ingest SOURCE"):
        CollectionRegionReader(pictures, INFO).fetch("lemon.png")


@pytest.mark.parametrize("has_regions", [True, False])
def test_an_image_that_is_nowhere_is_refused_with_a_near_one(has_regions: bool) -> None:
    with pytest.raises(InputError, match=r"of the collection Pictures is called owk\.png; did you mean owl\.png\?"):
        CollectionRegionReader(Pictures(has_regions=has_regions), INFO).fetch("owk.png")


def test_a_file_may_have_the_nearest_name(tmp_path: Path) -> None:
    (tmp_path / "scene.png").touch()
    with pytest.raises(InputError, match=r"did you mean .*/scene\.png\?"):
        CollectionRegionReader(Pictures(), INFO).fetch(str(tmp_path / "scenes.png"))


def test_a_name_that_is_nowhere_near_has_the_ways_out(tmp_path: Path) -> None:
    """Although in the folder of a long path another file is."""
    (tmp_path / "scene.png").touch()
    with pytest.raises(InputError, match=r"no file and no image of .*/quite-another\.png; give a file, or a path as"):
        CollectionRegionReader(Pictures(), INFO).fetch(str(tmp_path / "quite-another.png"))


def test_a_file_that_is_not_stored_is_not_said_to_be_missing(tmp_path: Path) -> None:
    (file := tmp_path / "scene.png").touch()
    with pytest.raises(InputError, match=r"^no image of .* called .*/scene\.png; it is a file: remove --stored, or"):
        CollectionRegionReader(Pictures(), INFO).fetch(str(file))


@pytest.mark.parametrize("vector", [None, [1.0, 0.0]])
def test_a_region_of_another_model_is_a_mismatch(vector: list[float] | None) -> None:
    with pytest.raises(Mismatch, match=r"owl\.png: a region has a vector of [02] dimensions, and the model 3"):
        CollectionRegionReader(Pictures(vector=vector), INFO).fetch("owl.png")


@pytest.mark.parametrize("number", [0.0, float("nan"), float("inf")])
def test_a_region_whose_vector_has_no_direction_is_a_mismatch(number: float) -> None:
    with pytest.raises(Mismatch, match=r"owl\.png: a region has a vector of zeros or NaN; make them with"):
        CollectionRegionReader(Pictures(vector=[number] * 3), INFO).fetch("owl.png")


def test_the_picture_is_the_file_or_else_the_thumbnail() -> None:
    small = {"path": "small.png", "thumbnail": base64.b64encode(b"small").decode()}
    reader = CollectionRegionReader(Pictures(images=[OWL, small, {"path": "none.png"}]), INFO)
    assert (reader.fetch_picture("owl.png"), reader.fetch_picture("small.png")) == (b"owl", b"small")
    with pytest.raises(InputError, match=r"none\.png: stored without a picture and without a thumbnail"):
        reader.fetch_picture("none.png")
