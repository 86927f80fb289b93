import json
from pathlib import Path
from typing import Any

import pytest

from clip_vectorizer.errors import InputError
from ingest.coco import BoxFile, parse_box_field, read_box_file
from ingest.items import GivenBox, GivenBoxes, UnusableFile

IMAGES = [{"id": 1, "file_name": "a.jpg", "width": 640, "height": 480}, {"id": 2, "file_name": "b/c.jpg"}]


def write(folder: Path, values: Any) -> str:
    file = folder / "boxes.json"
    file.write_text(values if isinstance(values, str) else json.dumps(values), encoding="utf-8")
    return str(file)


def read(folder: Path, *annotations: dict[str, Any]) -> BoxFile:
    return read_box_file(write(folder, {"images": IMAGES, "annotations": list(annotations)}))


def test_boxes_are_read_by_the_name_of_their_image(tmp_path: Path) -> None:
    boxes = read(
        tmp_path,
        {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5},
        {"image_id": 2, "bbox": [5, 6, 7.5, 8]},
        {"image_id": 1, "bbox": [0, 0, 1, 1]},
    )
    both = (GivenBox((1, 2, 3, 4), 0.5), GivenBox((0, 0, 1, 1)))
    assert boxes.find("a.jpg") == GivenBoxes(both, (640, 480))
    assert boxes.find("b/c.jpg") == GivenBoxes((GivenBox((5, 6, 7.5, 8)),))
    assert boxes.find("z.jpg") is None


def names(*wanted: str) -> BoxFile:
    return BoxFile("boxes.json", {name: GivenBoxes((GivenBox((0, 0, 1, 1)),)) for name in wanted})


@pytest.mark.parametrize(
    ("name", "key"),
    [("c.jpg", "b/c.jpg"), ("images/b/c.jpg", "b/c.jpg"), ("./b/c.jpg", "b/c.jpg"), ("b\\c.jpg", "b/c.jpg")],
)
def test_a_name_may_have_more_or_fewer_folders_than_the_path(name: str, key: str) -> None:
    assert names(name).find(key) is not None


@pytest.mark.parametrize("key", ["cc.jpg", "b/d.jpg", "c.png"])
def test_a_part_of_a_name_is_no_name(key: str) -> None:
    assert names("b/c.jpg").find(key) is None


def test_the_whole_path_precedes_a_bare_name() -> None:
    boxes = BoxFile("b", {"c.jpg": GivenBoxes(), "b/c.jpg": GivenBoxes((GivenBox((0, 0, 1, 1)),))})
    found = boxes.find("b/c.jpg")
    assert found and found.boxes and boxes.find("c.jpg") == GivenBoxes()


def test_two_images_that_could_be_meant_end_the_run_with_both_paths() -> None:
    boxes = names("c.jpg")
    boxes.find("b/c.jpg")
    assert boxes.find("b/c.jpg") is not None, "the same image may be looked up again"
    with pytest.raises(InputError, match=r"could be a/c\.jpg or b/c\.jpg; write the whole path"):
        boxes.find("a/c.jpg")


def test_images_that_were_never_looked_up_are_named_with_their_boxes_counted() -> None:
    boxes = BoxFile("b", {"x": GivenBoxes((GivenBox((0, 0, 1, 1)),) * 3), "y": GivenBoxes(), "z": GivenBoxes()})
    boxes.find("z")
    assert boxes.list_unused() == ["x"] and boxes.count_unused() == 3


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("{", "not JSON"),
        ([], "no lists of images and annotations"),
        ({"images": []}, "no lists of images and annotations"),
        ({"images": [{"id": 1}], "annotations": []}, r"images\[0\] has no id and file_name"),
        ({"images": IMAGES, "annotations": [{"image_id": 9, "bbox": [0, 0, 1, 1]}]}, "of no image in it .image_id 9"),
        ({"images": IMAGES, "annotations": [7]}, r"annotations\[0\] is of no image"),
        ({"images": IMAGES, "annotations": [{"image_id": 1, "bbox": [0, 0, 1]}]}, "no bbox of four numbers"),
        ({"images": IMAGES, "annotations": [{"image_id": 1, "bbox": "0123"}]}, "no bbox of four numbers"),
    ],
)
def test_a_file_that_is_no_coco_json_is_refused_with_the_entry(tmp_path: Path, values: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as refused:
        read_box_file(write(tmp_path, values))
    assert "boxes.json" in str(refused.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"boxes=nowhere\.json: cannot be read \(No such file"):
        read_box_file("nowhere.json")


def test_a_field_has_boxes_as_lists_or_as_objects_with_scores() -> None:
    value = [[1, 2, 3, 4], {"bbox": [5, 6, 7, 8], "score": 0.25}]
    assert parse_box_field(value, "things").boxes == (GivenBox((1, 2, 3, 4)), GivenBox((5, 6, 7, 8), 0.25))
    assert parse_box_field(None, "things") == parse_box_field([], "things") == GivenBoxes()


@pytest.mark.parametrize("value", ["x", 3, [3], [[1, 2, 3]], [{"box": [1, 2, 3, 4]}], {"bbox": [1, 2, 3, 4]}])
def test_a_field_of_anything_else_is_refused_with_its_form(value: object) -> None:
    with pytest.raises(UnusableFile, match=r"things\[0\] has no bbox of four numbers; write a list of \[x, y, width"):
        parse_box_field(value, "things")
