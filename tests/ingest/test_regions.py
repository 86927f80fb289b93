"""Regions through the whole pipeline, with stores in memory: complete before an image records them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import SidecarRefused, WeaviateUnreachable
from ingest.choices import MAX_REGIONS
from ingest.items import Facts, GivenBox, GivenBoxes, ImageObject, RegionResult
from ingest.pipeline import IngestSettings, ingest
from ingest.prepare import PrepareSettings
from ingest.region_boxes import PlacedBox, PlacedBoxes
from ingest.region_memory import RegionMemory
from ingest.region_methods import RegionRecipe, parse_method
from ingest.regions import RegionMaker
from ingest.report import IngestReport
from ingest.stages import SizeLimit
from ingest.store.base import NoRegionStore, ReadOnlyStore, Refusal
from tests.ingest.fakes import (
    BLUE,
    GREEN,
    MODEL,
    RED,
    FakeEmbedder,
    FakeRegionStore,
    FakeStore,
    File,
    ListSource,
    encoded,
    png,
)

HALVES = "grid=2x1"
LEFT, RIGHT = (0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0)


def flag(left: tuple[int, int, int] = RED, right: tuple[int, int, int] = BLUE) -> bytes:
    """Two halves of 8 x 8 pixels."""
    picture = Image.new("RGB", (16, 8), left)
    picture.paste(right, (8, 0, 16, 8))
    return encoded(picture, "PNG")


@dataclass
class FakeProposer:
    """Obeys RegionProposer: one box in each picture, unless it is refused."""

    boxes: Sequence[PlacedBox] = (PlacedBox(RIGHT, 0.75),)
    refused: SidecarRefused | None = None
    limits: list[int] = field(default_factory=list)

    def propose(self, images: Sequence[bytes], limit: int) -> list[Sequence[PlacedBox] | SidecarRefused]:
        self.limits.append(limit)
        return [self.refused or self.boxes for _ in images]


class World:
    """A source, a store of images and one of regions."""

    def __init__(self, files: Mapping[str, bytes | File]) -> None:
        self.source, self.store = ListSource(files), FakeStore()
        self.regions = FakeRegionStore(self.store)
        self.embedder, self.proposer = FakeEmbedder(), FakeProposer()

    def run(self, method: str | None = HALVES, limit: int = 10, **settings: Any) -> IngestReport:
        maker = self.maker(method, limit) if method else None
        prepare = PrepareSettings(regions=maker.recipe if maker else None)
        wanted = IngestSettings(workers=2, patience_seconds=0, requests=1, prepare=prepare, **settings)
        return ingest([self.source], self.store, self.embedder, settings=wanted, regions=maker)

    def maker(self, method: str, limit: int = 10) -> RegionMaker:
        recipe = RegionRecipe.build(parse_method(method, limit), MODEL, self.regions.born, "grounder-1")
        return RegionMaker(recipe, self.regions, self.embedder, self.proposer)

    def boxes(self, key: str = "x.png") -> list[tuple[float, ...]]:
        return [each.box for each in self.regions.regions.get(key, [])]

    def stamp(self, key: str = "x.png") -> str:
        found = self.store.objects[key].regions
        return found.stamp if isinstance(found, RegionResult) else ""


def test_an_image_gets_the_cells_of_a_grid_with_the_vectors_of_their_crops() -> None:
    world = World({"x.png": File(flag(), Facts("flags", "two colours"))})
    report = world.run()
    left, right = world.regions.regions["x.png"]
    assert (left.box, right.box) == (LEFT, RIGHT) and (left.rank, right.rank) == (0, 1)
    np.testing.assert_allclose([left.vector_d, right.vector_d], [[1, 0, 0], [0, 0, 1]])
    assert (left.label, left.caption, left.source, left.method) == ("flags", "two colours", "/photos", "grid")
    assert (report.added, report.regions, report.region_images) == (1, 2, 1) and world.stamp()


def test_a_long_region_is_embedded_in_the_middle_of_a_white_square() -> None:
    """A red strip of 16 x 4 pixels, a quarter of its square: a model that crops would see 4 x 4 of it."""
    world = World({"x.png": flag(RED, RED)})
    world.run("grid=1x2")
    for region in world.regions.regions["x.png"]:
        np.testing.assert_allclose(region.vector_d, [1, 0.75, 0.75])  # the fake's vector is the mean colour


def test_a_second_run_reads_nothing_and_sends_nothing() -> None:
    world = World({"x.png": flag(), "y.png": flag(GREEN)})
    world.run()
    world.source.reads.clear()
    world.regions.calls.clear()
    world.embedder.batches.clear()
    report = world.run()
    assert (report.unchanged, report.regions) == (2, 0)
    assert not (world.source.reads or world.regions.calls or world.embedder.batches)


def test_an_image_of_an_earlier_run_without_regions_gets_them_and_keeps_its_vector() -> None:
    world = World({"x.png": flag()})
    world.run(None)
    before = world.store.objects["x.png"].vector_d
    report = world.run()
    assert (report.updated, report.regions) == (1, 2) and world.boxes() == [LEFT, RIGHT]
    assert world.store.objects["x.png"].vector_d is before and len(world.store.calls_of("put")) == 1


def test_a_run_without_the_option_leaves_regions_as_they_are() -> None:
    world = World({"x.png": flag()})
    world.run()
    stamp = world.stamp()
    assert world.run(None).unchanged == 1 and world.boxes() == [LEFT, RIGHT] and world.stamp() == stamp


@pytest.mark.parametrize("other", ["grid=1x2", "grid=2x1,0.5", "corners", "objects"])
def test_other_options_replace_the_regions_of_every_image(other: str) -> None:
    world = World({"x.png": flag()})
    world.run()
    first, stamp = world.boxes(), world.stamp()
    report = world.run(other)
    assert report.updated == 1 and world.boxes() != first and world.stamp() != stamp
    assert world.run(other).unchanged == 1


def test_a_collection_of_regions_that_was_made_anew_gets_them_all_again() -> None:
    world = World({"x.png": flag()})
    world.run()
    world.regions = FakeRegionStore(world.store, born="two")
    assert world.run().updated == 1 and world.boxes() == [LEFT, RIGHT]


def test_none_removes_what_an_image_records_without_reading_it() -> None:
    world = World({"x.png": flag()})
    world.run()
    world.source.reads.clear()
    assert world.run("none").updated == 1
    assert not world.source.reads and not world.stamp()
    assert world.run("none").unchanged == 1


def test_a_changed_file_gets_the_regions_of_its_new_picture() -> None:
    world = World({"x.png": flag()})
    world.run()
    world.source.files["x.png"] = File(flag(GREEN, GREEN))
    report = world.run()
    assert (report.updated, report.regions) == (1, 2)
    np.testing.assert_allclose([each.vector_d for each in world.regions.regions["x.png"]], [[0, 1, 0]] * 2)


@pytest.mark.parametrize("method", [HALVES, "objects"])
def test_a_run_that_ends_between_regions_and_image_is_repeated(method: str) -> None:
    world = World({"x.png": flag()})

    def end(_: str) -> None:
        raise WeaviateUnreachable("killed")

    world.regions.after = end
    with pytest.raises(WeaviateUnreachable):
        world.run(method)
    assert "x.png" not in world.store.objects and world.boxes()
    world.regions.after = lambda _: None
    assert world.run(method).added == 1 and world.stamp()


def test_regions_that_are_being_replaced_are_not_recorded_as_complete_meanwhile() -> None:
    """Else a run with the first options would take a mixture of both for its own."""
    world = World({"x.png": flag()})
    world.run()

    def end(_: str) -> None:
        raise WeaviateUnreachable("killed")

    world.regions.after = end
    with pytest.raises(WeaviateUnreachable):
        world.run("grid=1x2")
    assert not world.stamp()
    world.regions.after = lambda _: None
    assert world.run().updated == 1 and world.boxes() == [LEFT, RIGHT]


def test_an_image_that_the_store_refuses_leaves_no_regions_behind() -> None:
    world = World({"x.png": flag(), "y.png": flag(GREEN)})
    world.store.refuse = lambda change: Refusal("too large") if change.key == "x.png" else None
    report = world.run()
    assert [failure.key for failure in report.failures] == ["x.png"]
    assert not world.boxes() and world.boxes("y.png") == [LEFT, RIGHT]


def test_an_image_whose_regions_are_refused_is_not_stored() -> None:
    world = World({"x.png": flag(), "y.png": flag(GREEN)})
    world.regions.refuse = lambda key: Refusal("no room") if key == "x.png" else None
    report = world.run()
    assert [(failure.key, failure.reason) for failure in report.failures] == [("x.png", "its regions: no room")]
    assert list(world.store.objects) == ["y.png"]


def test_a_picture_whose_objects_cannot_be_found_fails_alone_with_the_reason() -> None:
    world = World({"x.png": flag()})
    world.proposer.refused = SidecarRefused(422, "too strange")
    [failure] = world.run("objects").failures
    assert failure.reason == "its regions: too strange" and not world.store.objects


def test_objects_come_from_the_sidecar_with_their_objectness() -> None:
    world = World({"x.png": flag()})
    world.run("objects", limit=7)
    [region] = world.regions.regions["x.png"]
    assert (region.box, region.objectness, region.method) == (RIGHT, 0.75, "objects") and world.proposer.limits == [7]


def test_a_vector_of_the_model_that_finds_a_region_is_stored_in_place_of_its_crops() -> None:
    world = World({"x.png": flag()})
    own = np.array([0, 0.6, 0.8], np.float32)
    world.proposer.boxes = (PlacedBox(LEFT, 0.5), PlacedBox(RIGHT, 0.5, own))
    world.run("objects")
    crop, found = world.regions.regions["x.png"]
    np.testing.assert_allclose(np.stack([crop.vector_d, found.vector_d]), np.array([[1, 0, 0], [0, 0.6, 0.8]]))


def test_boxes_of_an_annotation_are_cut_in_pixels_the_best_first() -> None:
    boxes = GivenBoxes((GivenBox((0, 0, 8, 8), 0.5), GivenBox((8, 0, 8, 8), 0.9)))
    world = World({"x.png": File(flag(), Facts(boxes=boxes))})
    world.run("boxes=things", MAX_REGIONS)
    assert world.boxes() == [RIGHT, LEFT]
    assert [each.objectness for each in world.regions.regions["x.png"]] == [0.9, 0.5]


def test_other_boxes_of_an_annotation_replace_the_first_ones() -> None:
    world = World({"x.png": File(flag(), Facts(boxes=GivenBoxes((GivenBox((0, 0, 8, 8)),))), stamp="1")})
    world.run("boxes=things")
    world.source.files["x.png"] = File(flag(), Facts(boxes=GivenBoxes((GivenBox((8, 0, 8, 8)),))), stamp="2")
    assert world.run("boxes=things").updated == 1 and world.boxes() == [RIGHT]


def test_boxes_that_are_none_are_counted_and_named_and_the_others_used() -> None:
    nan = float("nan")
    drawn = [(0, 0, 8, 8), (20, 0, 4, 4), (0, 0, 0, 4), (nan, 0, 4, 4), (8, 0, 800, 8)]
    boxes = GivenBoxes(tuple(GivenBox(each) for each in drawn))
    world = World({"x.png": File(flag(), Facts(boxes=boxes))})
    report = world.run("boxes=things")
    assert world.boxes() == [LEFT, RIGHT] and report.region_remarks == 1
    for words in ("x.png", "1 box outside of the picture", "without an area", "NaN", "1 box partly outside, clipped"):
        assert words in report.summary()


def test_boxes_of_another_picture_are_not_used() -> None:
    boxes = GivenBoxes((GivenBox((0, 0, 4, 4)),), size=(8, 8))
    world = World({"x.png": File(flag(), Facts(boxes=boxes))})
    report = world.run("boxes=things")
    assert not world.boxes() and "drawn on 8 x 8 pixels" in report.summary() and report.added == 1


def test_boxes_of_a_larger_version_are_scaled() -> None:
    boxes = GivenBoxes((GivenBox((80, 0, 80, 80)),), size=(160, 80))
    world = World({"x.png": File(flag(), Facts(boxes=boxes))})
    world.run("boxes=things")
    assert world.boxes() == [RIGHT]


def test_a_picture_of_one_pixel_is_stored_without_regions_and_named() -> None:
    world = World({"x.png": png(side=1)})
    report = world.run("grid")
    assert report.added == 1 and not world.boxes()
    assert "x.png: 1 x 1 pixels, too few for a grid of 3x3" in report.summary()
    assert world.run("grid").unchanged == 1


def test_crops_of_many_images_are_sent_in_large_requests() -> None:
    world = World({f"{number}.png": flag((number, 0, 0)) for number in range(20)})
    world.run("grid=8x8")
    sent = [count for count in world.embedder.batches if count >= 64]
    assert sum(sent) == 20 * 64


def test_a_dry_run_counts_the_regions_and_writes_none() -> None:
    world = World({"x.png": flag()})
    maker = replace(world.maker(HALVES), store=NoRegionStore(), embedder=None, proposer=None)
    settings = IngestSettings(workers=1, verify=False, prepare=PrepareSettings(regions=maker.recipe))
    report = ingest([world.source], ReadOnlyStore(world.store), settings=settings, regions=maker)
    assert (report.added, report.regions) == (1, 2) and not world.regions.regions and not world.store.objects


def test_a_renamed_file_has_regions_under_its_new_path() -> None:
    world = World({"old.png": flag()})
    world.run()
    world.source.files = {"new.png": world.source.files["old.png"]}
    world.run()
    assert world.boxes("new.png") == world.boxes("old.png") == [LEFT, RIGHT]
    assert all(isinstance(item, ImageObject) and item.regions for item in world.store.objects.values())


@pytest.mark.parametrize(("method", "boxes"), [(HALVES, [LEFT, RIGHT]), ("objects", [RIGHT])])
@pytest.mark.parametrize("pictures", [1, 16])
def test_equal_pictures_are_looked_through_and_embedded_once(
    method: str, boxes: list[tuple[float, ...]], pictures: int
) -> None:
    """In one batch, where the second waits for the first, and in two."""
    world, crops = World({"x.png": File(flag(), Facts("one")), "y.png": File(flag(), Facts("two"))}), list[bytes]()
    world.embedder = FakeEmbedder(crops.extend)
    world.run(method, region_batch=SizeLimit(pictures, 1_000_000))
    assert len([each for each in crops if each != flag()]) == len(boxes)
    assert world.proposer.limits == ([10] if method == "objects" else [])
    assert world.boxes("x.png") == world.boxes("y.png") == boxes
    first, second = (world.regions.regions[key] for key in ("x.png", "y.png"))
    assert [each.label for each in [*first, *second]] == ["one"] * len(boxes) + ["two"] * len(boxes)
    np.testing.assert_array_equal([each.vector_d for each in second], [each.vector_d for each in first])
    assert world.stamp("x.png") == world.stamp("y.png") != ""


def test_a_picture_whose_regions_are_refused_is_tried_again_for_its_copy() -> None:
    world = World({"x.png": flag(), "y.png": flag()})
    world.proposer.refused = SidecarRefused(422, "too strange")
    assert {failure.key for failure in world.run("objects").failures} == {"x.png", "y.png"}
    assert world.proposer.limits == [10, 10]


def test_the_memory_of_regions_is_limited() -> None:
    memory, none = RegionMemory(most=3), PlacedBoxes()
    two = PlacedBoxes((PlacedBox(LEFT), PlacedBox(RIGHT)))
    memory.remember("two", two)
    memory.remember("none", none)
    assert memory.find("two") is two
    memory.remember("more", none)  # "none" was used longest ago
    assert memory.find("none") is None and memory.find("two") is two and memory.find("more") is none
