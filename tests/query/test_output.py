import json
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from clip_vectorizer.query import Classification, Hit
from clip_vectorizer.query.output import aligned, show_classifications, show_hits, terminal_table

HIT = Hit("food/[red] apple.png", 0.312, 0.688, "id-1", "food", "red apple · 红苹果")
GOOD = Classification("a.png", "cat", 0.75, 0.5, "dog")
BAD = Classification("b.png", error="not an image")


def test_hits_as_json_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    show_hits([HIT, HIT], as_json=True)
    [first, _] = map(json.loads, capsys.readouterr().out.splitlines())
    assert list(first) == ["path", "similarity", "distance", "id", "label", "caption"]
    assert first["caption"] == "red apple · 红苹果"


def test_hits_in_a_pipe_are_aligned_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show_hits([HIT], as_json=False)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["similarity", "path", "label", "caption"]
    assert row.startswith("0.312       food/[red] apple.png  food")


def test_a_caption_of_several_lines_and_an_odd_name_stay_on_their_row(capsys: pytest.CaptureFixture[str]) -> None:
    show_hits([replace(HIT, path="a\x1b[31m\udcff.png", caption="one\ntwo\u3000三")], as_json=False)
    [_, row] = capsys.readouterr().out.splitlines()
    assert row == "0.312       a\\x1b[31m\\udcff.png  food   one\\ntwo\u3000三"


def test_no_hits_are_no_data_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    show_hits([], as_json=False)
    out, err = capsys.readouterr()
    assert out == "" and "clip-ingest" in err


def test_classifications_as_json_have_the_same_keys_whatever_happened(capsys: pytest.CaptureFixture[str]) -> None:
    failed = show_classifications([GOOD, BAD], as_json=True)
    out, err = capsys.readouterr()
    good, bad = map(json.loads, out.splitlines())
    assert good == {"path": "a.png", "label": "cat", "score": 0.75, "margin": 0.5, "runner_up": "dog"}
    assert bad == {**dict.fromkeys(good), "path": "b.png", "error": "not an image"}
    assert failed == 1 and err.splitlines() == ["b.png: not an image", "1 of 2 images could not be classified"]


def test_a_table_shows_what_could_be_classified(capsys: pytest.CaptureFixture[str]) -> None:
    show_classifications([BAD, GOOD], as_json=False)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["path", "label", "score", "margin", "runner-up"],
        ["a.png", "cat", "0.750", "0.500", "dog"],
    ]


def test_nothing_to_classify_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_classifications([], as_json=False) == 0
    assert "the collection is empty" in capsys.readouterr().err


def test_wide_characters_take_two_cells() -> None:
    lines = aligned([("标签", "x"), ("cat", "y")])
    assert lines == ["标签  x", "cat   y"]


def test_a_terminal_of_80_columns_shows_every_letter_of_a_path() -> None:
    path = "a-very-long-folder-name/" * 4 + "[bold]红苹果.png"
    console = Console(width=80)
    with console.capture() as capture:
        console.print(terminal_table(("similarity", "path", "label", "caption"), [("0.3", path, "food", "红苹果")]))
    lines = capture.get().splitlines()
    assert max(map(cell_len, lines)) <= 80
    assert all(part in capture.get() for part in ("[bold]", "similarity"))
    shown = "".join(line[12:].split("  ")[0].strip() for line in lines[1:])
    assert shown == path
