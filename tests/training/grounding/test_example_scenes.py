"""`examples/scenes`: what its script makes, with boxes, names and captions that fit together."""

import json
import runpy
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clip_vectorizer.query.grounding.phrases import find_phrases
from clip_vectorizer.training.grounding.captions import pluralise
from ingest.coco import read_box_file

EXAMPLES = Path(__file__).parents[3] / "examples"
SCENES = EXAMPLES / "scenes"
MOST_BYTES = 600_000  # of all of them


@cache
def read_truth() -> dict[str, Any]:
    return dict(json.loads((SCENES / "scenes.json").read_text(encoding="utf-8")))


def list_names(image: int) -> Counter[str]:
    names = {category["id"]: category["name"] for category in read_truth()["categories"]}
    return Counter(names[each["category_id"]] for each in read_truth()["annotations"] if each["image_id"] == image)


def test_the_script_makes_these_scenes_again(tmp_path: Path) -> None:
    """Files of JPEG are compared by their pixels, roughly, because encoders differ."""
    runpy.run_path(str(EXAMPLES / "make_scenes.py"))["make_scenes"](EXAMPLES / "images", tmp_path)
    made, kept = ({file.name for file in folder.iterdir()} for folder in (tmp_path, SCENES))
    assert made == kept - {"ATTRIBUTION.md"}
    assert all((tmp_path / name).read_text() == (SCENES / name).read_text() for name in made if not is_picture(name))
    for name in filter(is_picture, made):
        with Image.open(tmp_path / name) as new, Image.open(SCENES / name) as old:
            pairs = zip(new.resize((8, 8)).tobytes(), old.resize((8, 8)).tobytes(), strict=True)
            assert max(abs(one - other) for one, other in pairs) <= 8


def is_picture(name: str) -> bool:
    return name.endswith(".jpg")


def test_there_are_forty_small_ones_with_few_and_many_small_and_large_things() -> None:
    images, things = read_truth()["images"], read_truth()["annotations"]
    assert len(images) == 40 and {image["ground"] for image in images} == {"white", "gradient", "blurred"}
    assert {list_names(image["id"]).total() for image in images} == {2, 3, 4, 5, 6}
    lengths = [max(thing["bbox"][2:]) for thing in things]
    assert min(lengths) < 24 and max(lengths) > 88
    assert sum(file.stat().st_size for file in SCENES.iterdir()) <= MOST_BYTES


def test_boxes_lie_in_their_pictures() -> None:
    sizes = {image["id"]: (image["width"], image["height"]) for image in read_truth()["images"]}
    for image in read_truth()["images"]:
        with Image.open(SCENES / image["file_name"]) as picture:
            assert picture.size == sizes[image["id"]]
    for thing in read_truth()["annotations"]:
        (x, y, width, height), (wide, high) = thing["bbox"], sizes[thing["image_id"]]
        assert x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= wide and y + height <= high
        assert thing["area"] == width * height


@pytest.mark.parametrize("number", range(1, 41))
def test_a_caption_names_what_its_scene_shows(number: int) -> None:
    english, chinese = (SCENES / f"scene-{number:02}.txt").read_text(encoding="utf-8").strip().split(" · ")
    shown = list_names(number)
    expected = {name if count == 1 else pluralise(name) for name, count in shown.items()}
    assert {phrase.text for phrase in find_phrases(english)} == expected
    assert len(find_phrases(chinese)) == len(shown)


def test_the_ingest_reads_the_boxes() -> None:
    boxes = read_box_file(str(SCENES / "scenes.json"))
    given = boxes.find("scene-01.jpg")
    assert given is not None and len(given.boxes) == 3 and given.size == (256, 192)
