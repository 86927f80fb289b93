"""`clip-ground`: its request, the table, JSON, and what it writes."""

import json
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

from clip_vectorizer.errors import InputError, Unreachable
from clip_vectorizer.query.cli.ground import main
from clip_vectorizer.query.cli.ground_actions import (
    build_request,
    choose_pixels,
    connect_collection,
    explain_missing_file,
    show,
    write_files,
)
from clip_vectorizer.query.grounding.groundings import Grounding, PhraseBox, PictureGroundings
from clip_vectorizer.query.grounding.phrases import Phrase
from tests.query.grounding.fakes import FakeRegions, build_context

BOX = PhraseBox((0.1, 0.2, 0.30001, 0.9), (10.04, 20, 30, 90), 0.25, 0.875)


def build_found(size: tuple[int, int] | None = (100, 100), text: str = "cat") -> PictureGroundings:
    cat = Grounding(Phrase(text, (2, 5)), (BOX if size else PhraseBox(BOX.box, None, 0.25, 0.875),), 0.875)
    owl = Grounding(Phrase("owl"), (), 0.125)
    return PictureGroundings("a.png", "a cat", (cat, owl), 0.5, size, stored=size is None)


def read_values(*words: str) -> dict[str, Any]:
    return main.make_context("clip-ground", list(words)).params


def test_the_words_of_a_sentence_need_no_quotes() -> None:
    sentence, options = build_request(read_values("https://x/a.png", "a", "red", "apple", "--top", "2"))
    assert sentence == "a red apple" and options.phrases is None and options.top == 2


def test_listed_phrases_may_have_commas_in_quotes() -> None:
    _, options = build_request(
        read_values("https://x/a.png", "--phrases", '猫\uff0c"black, white", owl', "--phrases", "dog")
    )
    assert options.phrases is not None
    assert [each.strip() for each in options.phrases] == ["猫", "black, white", "owl", "dog"]


def test_nothing_to_look_for_is_a_usage_error() -> None:
    with pytest.raises(click.UsageError, match="no SENTENCE; add one"):
        build_request(read_values("https://x/a.png", " "))


def test_a_table_has_pixels_or_shares_and_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    show(build_found(), as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "phrase  box (x0 y0 x1 y1 in pixels)  probability",
        "cat     10 20 30 90                  0.88",
        "owl     not in the picture           0.12",
    ]
    show(build_found(None), as_json=False)
    assert "cat     0.100 0.200 0.300 0.900  0.88" in capsys.readouterr().out


def test_json_has_the_same_keys_for_every_phrase(capsys: pytest.CaptureFixture[str]) -> None:
    show(build_found(), as_json=True)
    cat, owl = map(json.loads, capsys.readouterr().out.splitlines())
    assert cat["boxes"] == [
        {"box": [0.1, 0.2, 0.3, 0.9], "pixels": [10.0, 20, 30, 90], "similarity": 0.25, "probability": 0.875}
    ]
    assert (cat["start"], cat["end"], cat["present"]) == (2, 5, True)
    assert owl == {**dict.fromkeys(cat), "path": "a.png", "phrase": "owl", "present": False,
                   "probability": 0.125, "boxes": []}  # fmt: skip


def test_files_are_written_and_named_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {name: tmp_path / f"x.{name}" for name in ("png", "html", "coco")}
    write_files(values, build_found(), Image.new("RGB", (100, 100)))
    assert all(file.stat().st_size for file in values.values())
    assert capsys.readouterr().err.count("wrote ") == 3


def test_a_phrase_that_no_font_has_is_numbered_in_the_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = {"png": tmp_path / "x.png", "html": None, "coco": None}
    write_files(values, build_found(text="\U00013000"), Image.new("RGB", (100, 100)))
    assert "no font has the letters of" in capsys.readouterr().err


def test_a_stored_image_is_drawn_on_the_picture_that_is_stored() -> None:
    found = PictureGroundings("scene.png", "", (), 0.5, None, stored=True)
    assert choose_pixels(found, None, build_context(regions=FakeRegions())).size == (2, 2)


@pytest.mark.parametrize(
    ("name", "meant"), [("scenes.png", r"did you mean .*/scene\.png\?"), ("x" * 30, "check the name.")]
)
def test_a_missing_file_is_named_where_no_database_can_be_searched(tmp_path: Path, name: str, meant: str) -> None:
    (tmp_path / "scene.png").touch()
    values = read_values(str(tmp_path / name), "a cat", "--weaviate-url", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match=f"^no file is called .*{name}; {meant} As a stored image it .* no Weaviate"):
        connect_collection(values)


def test_a_missing_file_is_named_where_there_is_no_such_collection() -> None:
    explained = explain_missing_file("nowhere.png", InputError("Weaviate holds no collection of images called Mine"))
    assert isinstance(explained, InputError) and explained.exit_code == 2
    assert str(explained).startswith("no file is called nowhere.png; ") and str(explained).endswith("called Mine")
