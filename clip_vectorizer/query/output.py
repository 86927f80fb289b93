"""How the commands show rows: a table for people, aligned text for pipes, one JSON object a line for programs."""

import io
import json
import logging
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from clip_vectorizer.query.hits import Hit
from clip_vectorizer.query.zeroshot import Classification

Cells = Sequence[str]
GAP = "  "
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def prepare_streams() -> None:
    """Results on stdout whatever its encoding can hold, warnings of the libraries on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # \udc80 of a path that is not UTF-8: valid in JSON too
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s: %(message)s", force=True)
    logging.getLogger("clip_vectorizer").setLevel(logging.INFO)  # a thousand labels take minutes: show it


def show_hits(hits: Sequence[Hit], as_json: bool) -> None:
    if as_json:
        for hit in hits:
            show_json(hit_json(hit))
    elif hits:
        rows = [(f"{hit.similarity:.3f}", hit.path, hit.label, hit.caption) for hit in hits]
        show_table(("similarity", "path", "label", "caption"), rows)
    else:
        click.echo("nothing found: the collection is empty; fill it with `clip-ingest FOLDER`", err=True)


def hit_json(hit: Hit) -> dict[str, object]:
    """What every hit has, and of the rest what it has."""
    always = ("path", "similarity", "distance", "id", "label", "caption")
    values = {name: getattr(hit, name) for name in always}
    if hit.vector is not None:
        values["vector"] = hit.vector.tolist()
    return values


def show_classifications(results: Iterable[Classification], as_json: bool) -> int:
    """Shows all of them, the JSON lines as they come, and returns how many images could not be classified."""
    done: list[Classification] = []
    for result in results:
        done.append(result)
        if result.error:
            click.echo(f"{result.path}: {result.error}", err=True)
        if as_json:
            show_json(classification_json(result))
    good = [result for result in done if not result.error]
    if good and not as_json:
        rows = [(each.path, each.label, f"{each.score:.3f}", f"{each.margin:.3f}", each.runner_up) for each in good]
        show_table(("path", "label", "score", "margin", "runner-up"), rows)
    failed = len(done) - len(good)
    if failed:
        click.echo(f"{failed} of {len(done)} images could not be classified", err=True)
    if not done:
        click.echo("nothing to classify: the collection is empty; fill it with `clip-ingest FOLDER`", err=True)
    return failed


def classification_json(result: Classification) -> dict[str, object]:
    """Every line has the same keys; one that failed has nulls, and `error`."""
    if not result.error:
        return {key: value for key, value in asdict(result).items() if key != "error"}
    return {"path": result.path, "label": None, "score": None, "margin": None, "runner_up": None, "error": result.error}


def show_json(row: dict[str, object]) -> None:
    click.echo(json.dumps(row, ensure_ascii=False))


def show_table(head: Cells, rows: Sequence[Cells]) -> None:
    rows = [[on_one_line(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        Console().print(terminal_table(head, rows))
        return
    for line in aligned([head, *rows]):
        click.echo(line)


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
