"""Output of rows by the commands: a table in a terminal, aligned text in a pipe, one JSON object per line."""

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

from clip_vectorizer.terminal import escape_line, escape_text
from clip_vectorizer.vectors import Box

COLUMN_GAP = "  "
PATH_COLUMN = "path"
LEAST_WIDTH = 8  # terminal cells of a column that is cut or folded

TableCells = Sequence[str]


class EscapingFormatter(logging.Formatter):
    """Escapes control characters: a warning may contain a label or a path from the database."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_text(super().format(record))


def prepare_streams() -> None:
    """Make stdout accept every character, and log warnings of the libraries to stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # \udc80 of a path that is not UTF-8: valid in JSON too
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(EscapingFormatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("clip_vectorizer").setLevel(logging.INFO)  # progress: a thousand labels take minutes


def print_json(row: Mapping[str, object]) -> None:
    print_output(json.dumps(row, ensure_ascii=False, default=to_json_value))


def to_json_value(value: object) -> object:
    """Convert Weaviate's types to JSON's: times to RFC 3339, ids to text, a place to two numbers.

    >>> to_json_value(datetime.fromisoformat("2024-05-01T00:00:00+00:00"))
    '2024-05-01T00:00:00Z'
    """
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    from weaviate.collections.classes.types import GeoCoordinate  # takes a second, and few values get here

    if isinstance(value, GeoCoordinate):
        return {"latitude": value.latitude, "longitude": value.longitude}
    return str(value)


def format_value(value: object) -> str:
    """Format a property for a table: text unchanged, None as "", everything else as JSON.

    >>> format_value(["a", "b"])
    '["a", "b"]'
    """
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, default=to_json_value).strip('"')


def format_region(similarity: float, box: Box) -> str:
    """A region in a table: its similarity, and its box as shares of the picture's width and height.

    >>> format_region(0.3081, (0, 0.25, 1 / 3, 1))
    '0.308 at 0.00,0.25,0.33,1.00'
    """
    return f"{similarity:.3f} at {','.join(f'{value:.2f}' for value in box)}"


def print_output(data: str | bytes, newline: bool = True) -> None:
    """Write data of a command to stdout. Raises OSError if stdout is closed (`>&-`)."""
    check_stdout()
    click.echo(data, nl=newline)


def check_stdout() -> None:
    if sys.stdout is None:
        raise OSError(errno.EBADF, "standard output is closed")


def print_table(head: TableCells, rows: Sequence[TableCells], cut: TableCells = ()) -> None:
    """`cut`: columns that a terminal cuts off where the table is too wide, the first of them first."""
    rows = [[escape_line(cell) for cell in row] for row in rows]
    if is_terminal():
        console = Console()
        console.print(build_table(head, rows, fit_widths(head, rows, cut, console.width), cut))
        return
    for line in align_columns([head, *rows]):
        print_output(line)


def is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def build_table(
    head: TableCells, rows: Sequence[TableCells], widths: Sequence[int | None], cut: TableCells = ()
) -> Table:
    """Fold long cells, for a truncated path cannot be copied; only the columns of `cut` end in "..."."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, width in zip(head, widths, strict=True):
        is_cut = name in cut
        table.add_column(name, width=width, no_wrap=is_cut, overflow="ellipsis" if is_cut else "fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: brackets in a path are not markup
    return table


def fit_widths(head: TableCells, rows: Sequence[TableCells], cut: TableCells, room: int) -> Sequence[int | None]:
    """The widths of columns, in terminal cells. None: rich chooses, for no column may be cut.

    What is too wide is taken from the columns of `cut`, then from others as far as no word breaks, and last from the
    path.

    >>> row = ("apple.png", "0.308 at 0,0,1,1", "a red apple · 红苹果")
    >>> fit_widths(("path", "region", "caption"), [row], ["caption"], 40)
    [9, 16, 11]
    >>> fit_widths(("path", "region", "caption"), [row], ["caption"], 30)
    [9, 9, 8]
    """
    if not cut:
        return [None] * len(head)
    columns = [*zip(head, *rows, strict=True)]
    widths = [max(map(cell_len, column)) for column in columns]
    excess = sum(widths) + len(COLUMN_GAP) * (len(widths) - 1) - room
    for index in sorted(range(len(head)), key=lambda index: rank_column(head[index], cut)):
        is_foldable = head[index] == PATH_COLUMN or head[index] in cut
        least = LEAST_WIDTH if is_foldable else max(cell_len(word) for cell in columns[index] for word in cell.split())
        taken = max(0, min(excess, widths[index] - least))
        widths[index], excess = widths[index] - taken, excess - taken
    return widths


def rank_column(name: str, cut: TableCells) -> int:
    """The order in which columns become narrower."""
    return cut.index(name) if name in cut else len(cut) + (name == PATH_COLUMN)


def align_columns(rows: Sequence[TableCells]) -> list[str]:
    """Pad every column to its widest cell, in terminal cells: a Chinese character takes two.

    >>> align_columns([("path", "label"), ("a.png", "cat")])
    ['path   label', 'a.png  cat']
    """
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        COLUMN_GAP.join(pad_cell(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def pad_cell(cell: str, width: int) -> str:
    return cell + " " * (width - cell_len(cell))
