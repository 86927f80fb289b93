import base64
import io
import re

import pytest
from PIL import Image
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from clip_vectorizer.query.display.thumbnails import (
    CHUNK_LENGTH,
    COLUMNS,
    ROWS,
    DrawingMethod,
    choose_method,
    draw_thumbnail,
)

TRUECOLOR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}


def jpeg(size: tuple[int, int] = (64, 64), colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "JPEG")
    return file.getvalue()


def noise(side: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(file, "JPEG")
    return file.getvalue()


def printed(renderable: RenderableType) -> str:
    console = Console(width=80, force_terminal=True, color_system="truecolor", file=io.StringIO())
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


@pytest.mark.parametrize(
    ("env", "method"),
    [
        ({"TERM": "xterm-kitty"}, DrawingMethod.KITTY),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, DrawingMethod.KITTY),
        ({"TERM": "xterm-ghostty"}, DrawingMethod.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, DrawingMethod.ITERM),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, DrawingMethod.ITERM),
        (TRUECOLOR, DrawingMethod.BLOCKS),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, DrawingMethod.BLOCKS),
        (
            {"TERM": "tmux-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1", "COLORTERM": "truecolor"},
            DrawingMethod.BLOCKS,
        ),
        ({"TERM": "xterm-256color"}, None),
        (TRUECOLOR | {"NO_COLOR": "1"}, None),
        (TRUECOLOR | {"NO_COLOR": ""}, DrawingMethod.BLOCKS),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, None),
        ({"TERM": "xterm-kitty", "NO_COLOR": "1"}, None),
    ],
)
def test_the_method_is_the_best_of_the_terminal(env: dict[str, str], method: DrawingMethod | None) -> None:
    assert choose_method(env, is_terminal=True, wanted=None) is method
    assert choose_method(env, is_terminal=False, wanted=None) is None
    assert choose_method(env, is_terminal=True, wanted=False) is None


def test_wanted_thumbnails_are_drawn_into_a_pipe_too() -> None:
    assert choose_method({"NO_COLOR": "1"}, is_terminal=False, wanted=True) is DrawingMethod.BLOCKS
    assert choose_method({"TERM": "xterm-kitty"}, is_terminal=False, wanted=True) is DrawingMethod.BLOCKS
    assert choose_method({"TERM": "xterm-kitty"}, is_terminal=True, wanted=True) is DrawingMethod.KITTY


def test_a_narrow_terminal_keeps_its_columns_for_paths() -> None:
    assert choose_method(TRUECOLOR, is_terminal=True, wanted=None, columns=40) is None


@pytest.mark.parametrize(
    ("size", "columns", "rows"),
    [((64, 64), COLUMNS, ROWS), ((90, 30), COLUMNS, 2), ((30, 90), 4, ROWS), ((900, 1), 12, 1)],
)
def test_blocks_keep_the_proportions(size: tuple[int, int], columns: int, rows: int) -> None:
    shown = draw_thumbnail(jpeg(size), DrawingMethod.BLOCKS)
    assert isinstance(shown, Text)
    assert [len(line) for line in shown.plain.split("\n")] == [columns] * rows


def test_blocks_have_the_colours_of_the_image() -> None:
    halves = Image.new("RGB", (64, 64), (0, 0, 255))
    halves.paste((255, 0, 0), (0, 0, 64, 32))
    file = io.BytesIO()
    halves.save(file, "JPEG", quality=95)
    first, *_, last = printed(draw_thumbnail(file.getvalue(), DrawingMethod.BLOCKS)).splitlines()
    assert re.search(r"38;2;25\d;\d;\d;48;2;25\d;\d;\dm▀", first)
    assert re.search(r"38;2;\d;\d;25\d;48;2;\d;\d;25\dm▀", last)


def test_kitty_gets_a_png_in_chunks_within_its_limit() -> None:
    shown = printed(draw_thumbnail(noise(128), DrawingMethod.KITTY))
    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", shown)
    keys = [dict(pair.split("=") for pair in piece[0].split(",")) for piece in pieces]
    assert len(pieces) > 2 and all(len(data) <= CHUNK_LENGTH for _, data in pieces)
    assert keys[0] == {"a": "T", "f": "100", "q": "2", "C": "1", "c": "12", "m": "1"}
    assert [key["m"] for key in keys] == ["1"] * (len(keys) - 1) + ["0"]
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in pieces)))) as sent:
        assert (sent.format, sent.size) == ("PNG", (128, 128))


def test_kitty_gets_the_longer_side_in_cells() -> None:
    assert ",c=12,m=" in printed(draw_thumbnail(jpeg((90, 30)), DrawingMethod.KITTY))
    assert ",r=6,m=" in printed(draw_thumbnail(jpeg((30, 90)), DrawingMethod.KITTY))


def test_iterm_gets_the_unchanged_file() -> None:
    data = jpeg((90, 30))
    shown = printed(draw_thumbnail(data, DrawingMethod.ITERM))
    keys, sent = re.search(r"\x1b]1337;File=([^:]*):([^\x07]*)\x07", shown).groups()  # type: ignore[union-attr]
    assert keys == f"inline=1;size={len(data)};width=12;height=2;preserveAspectRatio=1"
    assert base64.b64decode(sent) == data


@pytest.mark.parametrize("method", [DrawingMethod.KITTY, DrawingMethod.ITERM])
def test_an_image_is_drawn_after_its_last_row_and_takes_no_cells(method: DrawingMethod) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row(draw_thumbnail(jpeg(), method), Text("next column"))
    shown = printed(table)
    assert re.search(rf"\x1b7\x1b\[{ROWS - 1}A\x1b\[{COLUMNS}D\x1b[_\]].*\x1b8", shown.split("\n")[ROWS - 1], re.DOTALL)
    text = re.sub(r"\x1b7.*?\x1b8", "", shown, flags=re.DOTALL)
    assert text.rstrip("\n").split("\n")[0].rstrip() == " " * COLUMNS + "  next column"
    assert len(text.rstrip("\n").split("\n")) == ROWS


@pytest.mark.parametrize("data", [None, b"", b"no picture", jpeg()[:200], b"\xff\xd8\xff"])
@pytest.mark.parametrize("method", DrawingMethod)
def test_an_unreadable_thumbnail_is_blank(data: bytes | None, method: DrawingMethod) -> None:
    assert printed(draw_thumbnail(data, method)).strip() == ""
