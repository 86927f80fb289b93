"""Results of images, one by one: JSON lines as they come, or one table, which an early end does not lose."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import click

from clip_vectorizer.query.display.tables import TableCells, print_json, print_table
from clip_vectorizer.terminal import escape_line


class ImageResult(Protocol):
    @property
    def path(self) -> str: ...

    @property
    def error(self) -> str:
        """ "" or why there is no result."""


ImageResultT = TypeVar("ImageResultT", bound=ImageResult)


@dataclass(frozen=True, slots=True)
class ResultFormat(Generic[ImageResultT]):
    """How results of one kind are printed."""

    head: TableCells
    format_cells: Callable[[ImageResultT], TableCells]
    to_json: Callable[[ImageResultT], dict[str, object]]


@dataclass(slots=True)
class ResultCounts:
    good: int = 0
    failed: int = 0


def print_results(
    results: Generator[ImageResultT], form: ResultFormat[ImageResultT], as_json: bool, counts: ResultCounts
) -> None:
    """Print all results, errors on stderr; the table also when an exception or Ctrl-C ends the run early.

    `counts` grow meanwhile, so that they are right at any end.
    """
    rows: list[TableCells] = []
    try:
        with closing(results):
            for result in results:
                print_result(result, form, as_json, rows)
                counts.failed += bool(result.error)
                counts.good += not result.error
    finally:
        if rows:
            print_table(form.head, rows)


def print_result(result: ImageResultT, form: ResultFormat[ImageResultT], as_json: bool, rows: list[TableCells]) -> None:
    if as_json:
        print_json(form.to_json(result))
    elif not result.error:
        rows.append(form.format_cells(result))
    if result.error:
        click.echo(escape_line(f"{result.path}: {result.error}"), err=True)
