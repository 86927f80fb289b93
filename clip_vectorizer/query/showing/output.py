"""How the commands show rows: a table for people, aligned text for pipes, one JSON object a line for programs."""

import errno
import io
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text
from weaviate.collections.classes.types import GeoCoordinate

from clip_vectorizer.commands import harmless

Cells = Sequence[str]
GAP = "  "
# What steers a terminal, ends a line, turns the order of letters around, or is no character.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class SafeFormatter(logging.Formatter):
    """A warning may name a label or a path out of the database: nothing in it steers the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


def prepare_streams() -> None:
    """Results on stdout whatever its encoding can hold, warnings of the libraries on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # \udc80 of a path that is not UTF-8: valid in JSON too
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("clip_vectorizer").setLevel(logging.INFO)  # a thousand labels take minutes: show it


def show_json(row: Mapping[str, object]) -> None:
    say(json.dumps(row, ensure_ascii=False, default=plain_value))


def plain_value(value: object) -> object:
    """What Weaviate gives beside JSON's own types, in JSON: times by RFC 3339, ids as text, a place as numbers."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, GeoCoordinate):
        return {"latitude": value.latitude, "longitude": value.longitude}
    return str(value)


def value_text(value: object) -> str:
    """A property for people: text as it is, nothing for none, all else as JSON has it."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, default=plain_value).strip('"')


def say(data: str | bytes, newline: bool = True) -> None:
    """All data of a command goes this way: a closed stdout (`>&-`) is an error, never lost in silence."""
    check_stdout()
    click.echo(data, nl=newline)


def check_stdout() -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")


def show_table(head: Cells, rows: Sequence[Cells]) -> None:
    rows = [[on_one_line(cell) for cell in row] for row in rows]
    if is_terminal():
        Console().print(terminal_table(head, rows))
        return
    for line in aligned([head, *rows]):
        say(line)


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def on_one_line(cell: str) -> str:
    """A caption's line breaks, and what a file's name may hold to steer a terminal, as `\\n` and `\\x1b`."""
    return CONTROL.sub(lambda hit: hit[0].encode("unicode_escape").decode("ascii"), cell)


def terminal_table(head: Cells, rows: Sequence[Cells]) -> Table:
    """Long cells fold: a path that is cut cannot be copied."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: brackets in a path are no markup
    return table


def aligned(rows: Sequence[Cells]) -> list[str]:
    """Padded to the widest cell of each column, counted in terminal cells: a Chinese character takes two."""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [GAP.join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def padded(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))
