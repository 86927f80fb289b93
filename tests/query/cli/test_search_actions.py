import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from rich.console import Console

from clip_vectorizer.errors import InputError, WeaviateUnreachable
from clip_vectorizer.query import Hit
from clip_vectorizer.query.cli.search import main
from clip_vectorizer.query.cli.search_actions import (
    HitFields,
    build_cards,
    run,
    show_as_json,
    show_for_people,
    show_paths,
)
from clip_vectorizer.query.display.thumbnails import COLUMNS, DrawingMethod
from clip_vectorizer.query.hits import Group

HIT = Hit("food/[red] apple.png", 0.312, 0.688, "id-1", "food", "red apple · 红苹果")
ALWAYS = ["path", "similarity", "distance", "id", "label", "caption"]
EVERYTHING = HitFields(group=True, score=True, copies=True, properties=("price",), vector=True, thumbnail=True)


def similar(query: str, source: object, limit: int = 10, as_json: bool = False) -> None:
    words = [query, "--similar-strings", str(source), "--limit", str(limit), *(["--json"] if as_json else [])]
    context = main.make_context("clip-search", words)
    run({**context.params, "weaviate_url": "http://127.0.0.1:1"})


@pytest.fixture
def names(tmp_path: Path) -> Path:
    file = tmp_path / "names.txt"
    file.write_bytes("\ufefffruit\r\n\nvegetables\n苹果\na\u2028b\nfruits".encode())
    return file


def test_the_nearest_lines_of_a_file_come_first(names: Path, capsys: pytest.CaptureFixture[str]) -> None:
    similar("fruit", names, limit=2)
    assert capsys.readouterr().out.splitlines() == ["distance  text", "0         fruit", "1         fruits"]


def test_as_json_every_string_is_a_line(names: Path, capsys: pytest.CaptureFixture[str]) -> None:
    similar("苹", names, as_json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]
    assert rows[0] == {"text": "苹果", "distance": 1}
    assert {row["text"] for row in rows} == {"fruit", "vegetables", "苹果", "a\u2028b", "fruits"}


def test_a_line_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lines").write_text("\x1b[2Jowl")
    similar("owl", tmp_path / "lines")
    assert "\\x1b[2Jowl" in capsys.readouterr().out


def test_strings_may_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"owl\nowls\n")))
    similar("owls", "-", limit=1)
    assert capsys.readouterr().out.splitlines()[1:] == ["0         owls"]


@pytest.mark.parametrize(
    "content, complaint",
    [(None, "No such file"), (b"\xff\xfe", "can't decode byte"), (b"\n \n", "no strings in it")],
)
def test_a_file_that_gives_no_strings_is_refused_by_name(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as refused:
        similar("owl", file)
    assert str(file) in str(refused.value)


def test_only_a_property_needs_weaviate() -> None:
    with pytest.raises(WeaviateUnreachable, match=r"no Weaviate answers at http://127\.0\.0\.1:1 "):
        similar("owl", "PROPERTY:label")


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
