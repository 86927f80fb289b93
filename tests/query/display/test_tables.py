import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from rich.cells import cell_len
from rich.console import Console
from weaviate.classes.data import GeoCoordinate

from clip_vectorizer.cli_common import exit_with_error
from clip_vectorizer.query.cli.search_actions import write_sheet
from clip_vectorizer.query.display.tables import (
    align_columns,
    build_table,
    fit_widths,
    format_value,
    prepare_streams,
    print_json,
    print_table,
)


def test_a_closed_stdout_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it under `>&-`
    prepare_streams()
    with pytest.raises(OSError, match="standard output is closed"):
        print_table(("path",), [("a.png",)])


def test_types_that_json_lacks_are_converted(capsys: pytest.CaptureFixture[str]) -> None:
    place, time = GeoCoordinate(latitude=52.5, longitude=13.4), datetime(2024, 5, 1, tzinfo=UTC)
    print_json({"at": place, "when": time, "which": UUID(int=1)})
    assert json.loads(capsys.readouterr().out) == {
        "at": {"latitude": 52.5, "longitude": 13.4},
        "when": "2024-05-01T00:00:00Z",
        "which": str(UUID(int=1)),
    }


@pytest.mark.parametrize(
    ("value", "shown"), [(None, ""), ('say "hi"', 'say "hi"'), (9.5, "9.5"), (True, "true"), (["a", "b"], '["a", "b"]')]
)
def test_a_property_is_shown_as_text_or_as_json(value: object, shown: str) -> None:
    assert format_value(value) == shown


def test_wide_characters_take_two_cells() -> None:
    lines = align_columns([("标签", "x"), ("cat", "y")])
    assert lines == ["标签  x", "cat   y"]


HEAD, CUT = ("similarity", "path", "label", "caption", "region"), ("caption", "label")
REGION, CAPTION = "0.308 at 0.00,0.25,0.33,1.00", "a red apple next to a watermelon · 西瓜旁边的红苹果"


def draw(path: str, cut: tuple[str, ...] = CUT) -> list[str]:
    """The lines of a table in a terminal of 80 columns."""
    rows, console = [["0.308", path, "fruits", CAPTION, REGION]], Console(width=80)
    with console.capture() as capture:
        console.print(build_table(HEAD, rows, fit_widths(HEAD, rows, cut, 80), cut))
    lines = capture.get().splitlines()
    assert max(map(cell_len, lines)) <= 80
    return lines


@pytest.mark.parametrize("cut", [CUT, ()])
def test_a_terminal_of_80_columns_shows_every_character_of_a_path(cut: tuple[str, ...]) -> None:
    path = "a-very-long-folder-name/" * 4 + "[bold]红苹果.png"
    head, *lines = draw(path, cut)
    assert head.startswith("similarity  path")
    assert "".join(line[12:].split("  ")[0].strip() for line in lines) == path


def test_a_caption_is_cut_before_a_path_or_a_region_breaks() -> None:
    path = "scenes/scene-21.jpg"
    _, line = draw(path)
    assert line.split()[:3] == ["0.308", path, "fruits"] and line.rstrip().endswith(REGION) and "…" in line
    head, *lines = draw("scenes/2024/01/scene-21.jpg")
    assert "scenes/2024/01/scene-21.jpg" in lines[0] and lines[1].strip() == "0.00,0.25,0.33,1.00"
    assert head.split() == list(HEAD)


def test_control_characters_from_the_database_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    prepare_streams()
    logging.getLogger("clip_vectorizer").warning("there are %s", "\x1b]0;owned\x07 and \u202egpj.exe")
    with pytest.raises(SystemExit):
        exit_with_error("error: did you mean \x1b[2Jowl.png?\nfirst or second", 2)
    print_table(["path"], [["\u202egpj.exe"]])
    written = capsys.readouterr()
    assert "\x1b" not in written.err and "\u202e" not in written.err + written.out
    assert "\\x1b[2Jowl.png?\nfirst" in written.err and "\\u202egpj.exe" in written.out


def test_a_full_disk_raises_with_the_name_of_the_file() -> None:
    with pytest.raises(OSError, match=r"/dev/full"):
        write_sheet(Path("/dev/full"), "owl", "Image", [], False)
