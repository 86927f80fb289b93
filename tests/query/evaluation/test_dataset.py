"""Labelled folders as users have them."""

from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.image_files import IMAGE_SUFFIXES
from clip_vectorizer.query.evaluation.dataset import (
    LabelledImage,
    LabelledImages,
    group_captions,
    load_labelled_folder,
    read_names,
    split_languages,
)
from tests.query.evaluation.folders import each, labelled, silent
from tests.query.fakes import FakeSidecar, picture


def read(folder: Path) -> LabelledImages:
    return load_labelled_folder(folder, FakeSidecar(), silent)


def test_a_folder_is_a_class_and_a_text_file_of_the_same_name_a_caption(tmp_path: Path) -> None:
    found = read(labelled(tmp_path, each(2)))
    assert found.classes == ("blue", "green", "red")
    assert found.class_n.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.items[0] == LabelledImage("blue/0.png", "blue", "blue thing · blue 蓝")
    assert found.vectors_nd.shape == (6, 3)


def test_files_that_cannot_be_read_are_left_out_with_the_reason(tmp_path: Path) -> None:
    labelled(tmp_path, each(1))
    (tmp_path / "red" / "broken.png").write_bytes(b"nonsense")
    (tmp_path / "red" / "empty.png").touch()
    found = read(tmp_path)
    assert len(found.items) == 3
    assert dict(found.left_out) == {
        "red/broken.png": "not an image",
        "red/empty.png": "the file is empty (0 bytes)",
    }


def test_files_that_are_no_images_are_counted_and_captions_are_not(tmp_path: Path) -> None:
    labelled(tmp_path, each(1))
    assert read(tmp_path).skipped == ""
    for name in ("red/a.heic", "red/b.HEIC", "red/loose.txt", "notes.md"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "in-no-class.png").write_bytes(picture("red"))
    assert read(tmp_path).skipped == "5 other files skipped (.heic 2, .png 1, .md 1, .txt 1)"


def test_every_image_suffix_is_read_in_any_case(tmp_path: Path) -> None:
    labelled(tmp_path, each(1))
    for number, suffix in enumerate(IMAGE_SUFFIXES):
        (tmp_path / "red" / f"more{number}{suffix.upper()}").write_bytes(picture("red"))
    found = read(tmp_path)
    assert (len(found.items), found.skipped) == (3 + len(IMAGE_SUFFIXES), "")


def test_a_class_without_readable_images_is_dropped(tmp_path: Path) -> None:
    labelled(tmp_path, each(1))
    (tmp_path / "red" / "0.png").write_bytes(b"nonsense")
    assert read(tmp_path).classes == ("blue", "green")


def test_images_outside_of_subfolders_have_no_class(tmp_path: Path) -> None:
    labelled(tmp_path, each(1))
    (tmp_path / "loose.png").write_bytes(picture("red"))
    assert len(read(tmp_path).items) == 3


@pytest.mark.parametrize(
    ("counts", "loose", "message"),
    [
        ({}, False, "it contains no images"),
        ({}, True, "it contains 1 image, but no folder for a class"),
        ({"red": 3}, False, "all images are of one class, 'red'"),
    ],
    ids=["empty", "no folders", "one class"],
)
def test_a_folder_without_two_classes_is_refused(
    tmp_path: Path, counts: dict[str, int], loose: bool, message: str
) -> None:
    labelled(tmp_path, counts)
    if loose:
        (tmp_path / "loose.png").write_bytes(picture("red"))
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_a_missing_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        read(tmp_path / "nowhere")


def test_a_caption_is_split_by_language() -> None:
    assert split_languages("cat · 猫") == {"en": "cat", "zh": "猫"}
    assert split_languages("cat\n") == {"en": "cat"}
    assert split_languages("猫 · 小猫 · cat") == {"zh": "猫", "en": "cat"}
    assert split_languages("") == {}


def test_images_without_a_caption_are_left_out_of_the_captions() -> None:
    items = [LabelledImage("a", "x", "cat · 猫"), LabelledImage("b", "x", ""), LabelledImage("c", "y", "cat")]
    english, chinese = group_captions(items)
    assert (english.language, english.texts, english.image_n.tolist()) == ("en", ("cat", "cat"), [0, 2])
    assert (english.names, english.name_n.tolist()) == (("cat",), [0, 0])
    assert (chinese.language, chinese.image_n.tolist()) == ("zh", [0])


def test_class_names_come_in_as_many_languages_as_the_file_has(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("cat · 猫 · Katze\n\ndog · 狗 · Hund\n", encoding="utf-8")
    assert read_names(file, ["cat", "dog"]) == [{"cat": "猫", "dog": "狗"}, {"cat": "Katze", "dog": "Hund"}]


@pytest.mark.parametrize(
    ("content", "message"),
    [("cat · 猫\n", "no line for 'dog'"), ("cat · 猫\ndog\n", "'dog' has 0 more names"), (None, "No such file")],
)
def test_incomplete_class_names_raise(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_names(file, ["cat", "dog"])
