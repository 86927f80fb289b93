import io
import json

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from clip_vectorizer.query import Hit
from clip_vectorizer.query.cli.search_actions import HitFields, build_cards, show_as_json, show_for_people, show_paths
from clip_vectorizer.query.display.thumbnails import COLUMNS, DrawingMethod
from clip_vectorizer.query.hits import Group

HIT = Hit("food/[red] apple.png", 0.312, 0.688, "id-1", "food", "red apple · 红苹果")
ALWAYS = ["path", "similarity", "distance", "id", "label", "caption"]
EVERYTHING = HitFields(group=True, score=True, copies=True, properties=("price",), vector=True, thumbnail=True)


def one(*hits: Hit) -> list[Group]:
    return [Group("", hits)]


def test_hits_as_json_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_as_json(one(HIT, HIT), HitFields())
    [first, _] = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ALWAYS
    assert first["caption"] == "red apple · 红苹果"


def test_optional_fields_come_after_those_of_every_hit(capsys: pytest.CaptureFixture[str]) -> None:
    vector = np.array([0.5, -1], dtype=np.float32)
    hit = Hit(*[getattr(HIT, name) for name in ALWAYS], 0.9, ("b.png",), {"price": 9.5}, vector, b"\xff\xd8")
    show_as_json([Group("food", (hit, HIT))], EVERYTHING)
    full, bare = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(full)[:6] == ALWAYS
    assert {name: full[name] for name in list(full)[6:]} == {
        "group": "food",
        "score": 0.9,
        "copies": ["b.png"],
        "properties": {"price": 9.5},
        "vector": [0.5, -1.0],
        "thumbnail": "/9g=",
    }
    assert list(bare) == list(full)
    assert bare["copies"] == [] and bare["properties"] == {"price": None} and bare["thumbnail"] is None


def test_hits_in_a_pipe_are_aligned_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_for_people(one(HIT), HitFields(), None)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["similarity", "path", "label", "caption"]
    assert row.startswith("0.312       food/[red] apple.png  food")


def test_groups_in_a_pipe_are_a_column_in_front(capsys: pytest.CaptureFixture[str]) -> None:
    fields = HitFields(group=True, copies=True, properties=("price",))
    show_for_people([Group("a", (HIT,)), Group("", (HIT,))], fields, None)
    head, first, second = capsys.readouterr().out.splitlines()
    assert head.split() == ["group", "similarity", "path", "label", "caption", "copies", "price"]
    assert first.startswith("a      0.312") and second.startswith("       0.312")


def test_a_caption_of_several_lines_and_an_odd_name_stay_on_their_row(capsys: pytest.CaptureFixture[str]) -> None:
    odd = Hit("a\x1b[31m\udcff.png", 0.312, 0.688, "id-1", "food", "one\ntwo\u3000三")
    show_for_people(one(odd), HitFields(), None)
    [_, row] = capsys.readouterr().out.splitlines()
    assert row == "0.312       a\\x1b[31m\\udcff.png  food   one\\ntwo\u3000三"


def test_paths_for_xargs_are_the_names_as_they_are(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    show_paths([HIT, Hit("two\nlines 苹.png", 0, 1, "id", "", "")])
    assert capfdbinary.readouterr().out.split(b"\0") == [b"food/[red] apple.png", "two\nlines 苹.png".encode(), b""]


def test_a_card_has_all_fields_and_folds_a_long_path() -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(file, "JPEG")
    path = "a-very-long-folder-name/" * 4 + "[bold]红苹果.png"
    hit = Hit(
        path, 0.5, 0.5, "id", "food", "红苹果", copies=("b.png",), properties={"price": 9}, thumbnail=file.getvalue()
    )
    fields = HitFields(copies=True, properties=("price", "brand"))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(build_cards([hit, hit], fields, DrawingMethod.BLOCKS))
    lines = capture.get().splitlines()
    assert max(map(cell_len, lines)) <= 80
    texts = [line[COLUMNS + 2 :].strip() for line in lines[:6]]
    assert "".join(texts[:2]) == path
    assert texts[2:] == ["similarity 0.500 · food", "红苹果", "copies: b.png", "price: 9"]
