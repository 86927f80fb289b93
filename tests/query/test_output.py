import json
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from clip_vectorizer.query import Hit
from clip_vectorizer.query.output import aligned, show_hits, terminal_table

HIT = Hit("food/[red] apple.png", 0.312, 0.688, "id-1", "food", "red apple · 红苹果")


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
