"""`clip-search` as a process: in a terminal, in a pipe that ends early, and with no stdout at all."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.cli.search import main
from tests.stack.support import BIN, EXAMPLES, Stack, clean_environment

pytestmark = pytest.mark.stack

COLUMNS, LINES = 80, 24


def in_a_terminal(command: list[str], env: Mapping[str, str]) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    started = subprocess.Popen([BIN / command[0], *command[1:]], stdout=theirs, env={**env, **size})
    os.close(theirs)
    written = bytearray()
    while piece := read(ours):
        written += piece
    assert started.wait(60) == 0
    os.close(ours)
    return written.decode()


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other side was closed
        return b""


def test_a_terminal_with_true_colour_shows_thumbnails_next_to_the_hits(stack: Stack, examples: str) -> None:
    colours = clean_environment() | stack.env | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    for name in ("NO_COLOR", "TMUX", "KITTY_WINDOW_ID", "TERM_PROGRAM", "LC_TERMINAL"):
        colours.pop(name, None)
    written = in_a_terminal(["clip-search", "red", "apple", "--limit", "2", "--collection", examples], colours)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", written).replace("\r", "").split("\n")
    assert lines[0].startswith("▀" * 12 + "  fruit/red-apple.png")
    assert lines[1].startswith("▀" * 12 + "  similarity 0.6")
    assert max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize(
    ("line", "codes", "expected"),
    [
        ("--limit 300 --thumbnails | head -c 20", (0, 1), ""),  # the reader has closed the pipe: no message
        ("--thumbnails >&-", (1,), "error: [Errno 9] standard output is closed\n"),
        ("--json > /dev/full", (1,), "error: [Errno 28] No space left on device\n"),
    ],
)
def test_a_stdout_that_takes_no_more_is_a_sentence_at_most(
    line: str, codes: tuple[int, ...], expected: str, stack: Stack, examples: str
) -> None:
    command = f"set -o pipefail; {BIN}/clip-search heart --collection {examples} {line}"
    env = clean_environment() | stack.env
    ran = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode in codes and ran.stderr == expected


def searched(stack: Stack, examples: str, *words: str | Path) -> Result:
    """In this process: a start takes seconds."""
    ran = CliRunner().invoke(main, [*map(str, words), "--collection", examples], env=stack.env)
    assert ran.exit_code == 0, ran.stderr
    return ran


def test_a_sheet_on_stdout_and_one_in_a_file_are_the_same(stack: Stack, examples: str, tmp_path: Path) -> None:
    file = tmp_path / "sheet.html"
    written = searched(stack, examples, "heart", "--html", file, "--group-by", "label")
    page = file.read_text(encoding="utf-8")
    assert written.stdout == "" and written.stderr == f"{file}: {page.count('<img ')} images\n"
    piped = searched(stack, examples, "heart", "--html", "-", "--group-by", "label")
    assert piped.stdout == page and "<h2 " in page


def test_the_command_finds_what_python_finds(stack: Stack, examples: str, search: ImageSearch) -> None:
    printed = searched(stack, examples, "heart", "--json", "--vectors", "--thumbnails").stdout
    rows = list(map(json.loads, printed.splitlines()))
    hits = search.by_text("heart", include_vector=True, include_thumbnail=True)
    assert [row["path"] for row in rows] == [hit.path for hit in hits]
    assert [row["vector"] for row in rows] == [hit.vector.tolist() for hit in hits if hit.vector is not None]
    assert all(row["thumbnail"].startswith("/9j/") for row in rows)  # a JPEG in base64


def test_everything_is_every_image_once_and_goes_on_after_any(stack: Stack, examples: str) -> None:
    rows = list(map(json.loads, searched(stack, examples, "--list", "--json").stdout.splitlines()))
    drawings = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.png")}
    assert len(rows) == len(drawings) and {row["path"] for row in rows} == drawings
    assert list(rows[0]) == ["path", "id", "label", "caption"]

    after = ("--list", "--after", rows[9]["id"], "--limit", "2")
    paths = searched(stack, examples, *after, "-0").stdout
    assert paths == "".join(f"{row['path']}\0" for row in rows[10:12])
    head, *table = searched(stack, examples, *after, "--property", "size").stdout.splitlines()
    assert head.split() == ["path", "id", "label", "caption", "size"] and table[0].startswith(rows[10]["path"])

    nothing = searched(stack, examples, "--list", "--where", "size<0")
    assert nothing.stdout == "" and "no image is left" in nothing.stderr
