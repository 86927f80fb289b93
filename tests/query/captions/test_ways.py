"""Where words come from: labels, neighbours, regions, the sidecar's captioner."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.query.captions.captioned import ImageRegions, choose_picture
from clip_vectorizer.query.captions.choose import CaptionOptions, choose_way
from clip_vectorizer.query.captions.ways import (
    NO_NEIGHBOUR,
    NO_PICTURE,
    NO_REGIONS,
    NO_THING,
    NO_VECTOR,
    NO_WORDS,
    CaptionFailure,
    CaptionOutcome,
    CaptionWay,
    LabelWay,
    ModelWay,
    NeighbourWay,
    RegionWay,
)
from clip_vectorizer.query.captions.words import list_things
from clip_vectorizer.query.zeroshot.classify import ClassifyContext
from clip_vectorizer.vectors import Vectors
from tests.query.captions.fakes import FakeCaptions, store
from tests.query.fakes import INFO, TARGET, FakeSidecar
from tests.query.zeroshot_fakes import stores

NAMES = ["cat", "red apple", "owl"]
AXES: Vectors = np.eye(4, dtype=np.float32)  # one for each name, and one for nothing
QUARTERS = np.array([(0, 0, 0.5, 0.5), (0.5, 0, 1, 0.5), (0, 0.5, 0.5, 1), (0.5, 0.5, 1, 1)], dtype=np.float32)


def write(way: CaptionWay, images: FakeCaptions) -> list[CaptionOutcome]:
    return way.write(list(images.images.values()), images)


def near(axis: int, other: int) -> Vectors:
    """A vector nearest to one axis, then to another."""
    row: Vectors = AXES[axis] + 0.5 * AXES[other]
    return row


def test_labels_are_the_nearest_ones_in_order() -> None:
    images = store(3, vectors={"0": near(1, 2), "1": 7 * near(2, 0)})
    assert write(LabelWay("", NAMES, AXES[:3]), images) == ["red apple", "owl", CaptionFailure(NO_VECTOR)]
    assert write(LabelWay("", NAMES, AXES[:3], 2), images)[:2] == ["red apple, owl", "owl, cat"]


def test_of_several_neighbours_the_most_typical_caption_is_taken() -> None:
    captions = ["a red car", "a dog in snow", "a dog in the snow"]
    images = store(2, vectors={"0": AXES[0]}, nearest=captions)
    assert write(NeighbourWay(""), images) == ["a red car", CaptionFailure(NO_VECTOR)]
    assert write(NeighbourWay("", 3), images)[0] == "a dog in snow"
    assert write(NeighbourWay(""), store(1, vectors={"0": AXES[0]})) == [CaptionFailure(NO_NEIGHBOUR)]


def by_regions(*rows: Sequence[float], boxes_n4: np.ndarray = QUARTERS, objectness: float = 1.0) -> CaptionOutcome:
    regions = ImageRegions(
        boxes_n4[: len(rows)], np.array(rows, np.float32).reshape(len(rows), 4), np.full(len(rows), objectness)
    )
    [outcome] = write(RegionWay("", NAMES, AXES[:3], AXES[3:], INFO), store(1, regions={"0": regions}))
    return outcome


def test_regions_name_each_thing_with_its_count() -> None:
    assert by_regions(AXES[0], AXES[1], AXES[0], AXES[3]) == "two cats and a red apple"
    assert by_regions(AXES[2]) == "an owl"


def test_regions_of_nothing_are_no_caption() -> None:
    assert by_regions(AXES[3], AXES[3]) == CaptionFailure(NO_THING)
    assert by_regions() == by_regions(AXES[0], objectness=0.1) == CaptionFailure(NO_THING)
    assert write(RegionWay("", NAMES, AXES[:3], AXES[3:], INFO), store(1)) == [CaptionFailure(NO_REGIONS)]


def test_a_region_that_is_as_near_to_all_labels_is_of_none() -> None:
    names, labels_ld = [*NAMES, "dog"], np.eye(5, dtype=np.float32)
    row = np.append(np.full(4, 0.5, np.float32), 0)
    images = store(1, regions={"0": ImageRegions(QUARTERS[:1], row[None], np.ones(1, np.float32))})
    assert write(RegionWay("", names, labels_ld[:4], labels_ld[4:], INFO), images) == [CaptionFailure(NO_THING)]


def test_regions_that_overlap_are_one_thing() -> None:
    same = np.array([(0, 0, 0.5, 0.5), (0, 0, 0.5, 0.6)], dtype=np.float32)
    assert by_regions(AXES[0], near(0, 2) / np.linalg.norm(near(0, 2)), boxes_n4=same) == "a cat"


class Describer(FakeSidecar):
    """Describes a picture by its bytes; fails at `spoilt`, and refuses what is no picture."""

    def __init__(self, spoilt: bytes = b"-", status: int = 500) -> None:
        super().__init__()
        self.spoilt, self.status, self.sizes = spoilt, status, list[int]()

    def captioner(self) -> None:
        return None

    def caption_each_image(self, images: Sequence[bytes]) -> list[str | SidecarRefused]:
        self.sizes.append(len(images))
        if self.spoilt in images:
            raise SidecarRefused(self.status, "the captioner failed")
        return [SidecarRefused(422, "no picture") if each == b"?" else f" {each.decode()} " for each in images]


def test_the_model_describes_stored_pictures() -> None:
    images = store(4, pictures={"0": b"a cat", "1": b"?", "3": b""})
    expected = ["a cat", CaptionFailure("no picture"), CaptionFailure(NO_PICTURE), CaptionFailure(NO_PICTURE)]
    assert write(ModelWay("", Describer()), images) == expected
    assert write(ModelWay("", Describer()), store(1, pictures={"0": b" "})) == [CaptionFailure(NO_WORDS)]


@pytest.mark.parametrize("status", [500, 503])
def test_a_picture_that_the_captioner_fails_at_spoils_no_other(status: int) -> None:
    sidecar = Describer(b"bad", status)
    outcomes = write(ModelWay("", sidecar), store(3, pictures={"0": b"a cat", "1": b"bad", "2": b"an owl"}))
    assert outcomes == ["a cat", CaptionFailure("the captioner failed"), "an owl"]
    assert sidecar.sizes == [3, 1, 1, 1]


def test_a_sidecar_without_a_captioner_is_no_matter_of_one_picture() -> None:
    with pytest.raises(SidecarRefused, match="the captioner failed"):
        write(ModelWay("", Describer(b"bad", 501)), store(2, pictures={"0": b"a cat", "1": b"bad"}))


def choose(by: str, sidecar: FakeSidecar | None = None, **options: object) -> CaptionWay:
    context = ClassifyContext(INFO, sidecar or FakeSidecar(), stores())
    return choose_way(by, CaptionOptions(**options), context)  # type: ignore[arg-type]


def test_what_wrote_a_caption_names_the_way_its_words_and_the_model() -> None:
    model = f"{INFO.model}@{INFO.revision}"
    labels = choose("labels", labels=["red", "green"]).by
    assert labels.startswith("labels:1 ") and labels.endswith(model)
    assert labels != choose("labels", labels=["red", "blue"]).by != choose("labels", labels=["red", "blue"], top=2).by
    assert choose("neighbours", top=3).by == f"neighbours:3 {model}"
    assert choose("regions", labels=["red", "green"], least=0.7).by.startswith("regions:0.7 ")


@pytest.mark.parametrize(
    ("by", "options", "sentence"),
    [
        ("label", {}, "no way to captions is called 'label'; did you mean labels? there are labels, neighbours"),
        ("labels", {}, "captions by labels need labels"),
        ("regions", {"labels": ["cat"]}, "at least two"),
        ("labels", {"labels": ["a", "b"], "top": 0}, "top 0: expected"),
        ("regions", {"labels": ["a", "b"], "least": 2}, "least 2: expected"),
        ("model", {"batch": 0}, "batch 0: expected"),
        ("model", {"limit": -1}, "limit -1: expected"),
    ],
)
def test_what_cannot_be_captioned_is_a_sentence(by: str, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as refused:
        choose(by, **options)
    assert sentence in str(refused.value)


@pytest.mark.parametrize("sidecar", [FakeSidecar(), Describer()])
def test_without_a_captioner_the_way_out_is_named(sidecar: FakeSidecar) -> None:
    with pytest.raises(SidecarRefused, match="serve --captioner transformers:PATH"):
        choose("model", sidecar)


def test_a_collection_without_pictures_is_refused() -> None:
    with pytest.raises(InputError, match=r"keeps no picture .clip-ingest --keep none.*--keep full"):
        choose_picture(replace(TARGET, keep="none"))
    assert choose_picture(replace(TARGET, keep="thumbnail")) == "thumbnail"


@pytest.mark.parametrize(
    ("names", "caption"),
    [
        (["cat"], "a cat"),
        (["owl", "cat", "dog"], "an owl, a cat and a dog"),
        (["the sun", "fox", "fox", "unicorn"], "the sun, two foxes and a unicorn"),
        (["cherry"] * 12, "12 cherries"),
        (["猫", "苹果", "猫"], "两个猫和苹果"),
        (["猫", "苹果", "狗"], "猫、苹果和狗"),
        ([], ""),
    ],
)
def test_things_are_listed_as_people_do(names: list[str], caption: str) -> None:
    assert list_things(names) == caption
