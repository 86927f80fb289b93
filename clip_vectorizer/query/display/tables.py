"""How the commands show rows: a table for people, aligned text for pipes, one JSON object a line for programs."""

import errno
import io
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text
from weaviate.collections.classes.types import GeoCoordinate

from clip_vectorizer.terminal import escape_line, escape_text

COLUMN_GAP = "  "

TableCells = Sequence[str]


class EscapingFormatter(logging.Formatter):
    """A warning may name a label or a path out of the database: nothing in it steers the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_text(super().format(record))


def prepare_streams() -> None:
    """Results on stdout whatever its encoding can hold, warnings of the libraries on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # \udc80 of a path that is not UTF-8: valid in JSON too
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapingFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("clip_vectorizer").setLevel(logging.INFO)  # a thousand labels take minutes: show it


def print_json(row: Mapping[str, object]) -> None:
    print_output(json.dumps(row, ensure_ascii=False, default=to_json_value))


def to_json_value(value: object) -> object:
    """What Weaviate gives beside JSON's own types, in JSON: times by RFC 3339, ids as text, a place as numbers."""
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, GeoCoordinate):
        return {"latitude": value.latitude, "longitude": value.longitude}
    return str(value)


def format_value(value: object) -> str:
    """A property for people: text as it is, nothing for none, all else as JSON has it."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, default=to_json_value).strip('"')


def print_output(data: str | bytes, newline: bool = True) -> None:
    """All data of a command goes this way: a closed stdout (`>&-`) is an error, never lost in silence."""
    check_stdout()
    click.echo(data, nl=newline)


def check_stdout() -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")


def print_table(head: TableCells, rows: Sequence[TableCells]) -> None:
    rows = [[escape_line(cell) for cell in row] for row in rows]
    if is_terminal():
        Console().print(build_table(head, rows))
        return
    for line in align_columns([head, *rows]):
        print_output(line)


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def build_table(head: TableCells, rows: Sequence[TableCells]) -> Table:
    """Long cells fold: a path that is cut cannot be copied."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: brackets in a path are no markup
    return table


def align_columns(rows: Sequence[TableCells]) -> list[str]:
    """Padded to the widest cell of each column, counted in terminal cells: a Chinese character takes two."""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        COLUMN_GAP.join(pad_cell(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def pad_cell(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))
