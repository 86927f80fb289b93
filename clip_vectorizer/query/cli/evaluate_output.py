"""Output of `clip-eval`: tables, one JSON object per line with --json, files of a report."""

import logging
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from clip_vectorizer.progress import open_display
from clip_vectorizer.query.display.tables import print_json, print_table
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.evaluate import Evaluation
from clip_vectorizer.query.evaluation.tables import Table

MAX_CONFUSION_CLASSES = 25  # classes whose confusion matrix fits a terminal


def show_evaluation(evaluation: Evaluation, as_json: bool, report: Path | None) -> None:
    labelled, model = evaluation.labelled, evaluation.model
    show_left_out(labelled.left_out)
    click.echo(
        f"{len(labelled.items)} images in {len(labelled.classes)} classes of {labelled.source}, model {model.model}",
        err=True,
    )
    show_tables(evaluation.tables, as_json)
    for note in evaluation.notes:
        click.echo(f"note: {note}", err=True)
    if report is not None:
        from clip_vectorizer.query.evaluation.report import write_report

        click.echo(f"report: {write_report(evaluation, report, command_line())}", err=True)


def show_left_out(left_out: Iterable[tuple[str, str]]) -> None:
    for path, reason in left_out:
        click.echo(f"{path}: {reason}; left out", err=True)


def show_tables(tables: Sequence[Table], as_json: bool) -> None:
    if as_json:
        for row in (row for table in tables for row in table.json_rows()):
            print_json(row)
        return
    for number, table in enumerate(tables):
        click.echo(("\n" if number else "") + table.title)
        if table.name == "confusion" and len(table.rows) > MAX_CONFUSION_CLASSES:
            click.echo(f"({len(table.rows)} classes are too many for a terminal; --json or --report shows it)")
        else:
            print_table(table.head, table.cells())


def command_line() -> str:
    """The command line, with the program's name instead of its path."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


@contextmanager
def count_truncated_texts() -> Iterator[None]:
    """Context manager: one note for all texts that the model truncates, instead of one warning each."""
    truncated: list[logging.LogRecord] = []

    def count(record: logging.LogRecord) -> bool:
        truncated.append(record)
        return False

    client = logging.getLogger("clip_vectorizer.client")  # logs the sidecar's warnings
    client.addFilter(count)
    try:
        yield
    finally:
        client.removeFilter(count)
    if truncated:
        click.echo(f"note: {len(truncated)} warnings of the sidecar, such as: {truncated[0].getMessage()}", err=True)


@contextmanager
def status_line() -> Iterator[Progress]:
    """Progress on stderr: one line that is rewritten on a terminal, nothing elsewhere."""
    with open_display(log_seconds=None) as display:
        yield display.show
