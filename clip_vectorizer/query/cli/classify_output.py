"""Output of `clip-classify`: a table, or one JSON object per line with --json."""

from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict

import click

from clip_vectorizer.query.display.tables import print_json, print_table
from clip_vectorizer.query.zeroshot.results import Classification
from clip_vectorizer.terminal import escape_line

COLUMN_NAMES = ("path", "label", "score", "margin", "runner-up")


def show_classifications(results: Generator[Classification], as_json: bool, why_nothing: str) -> int:
    """Print all results, JSON lines as they come; the table also when an error or Ctrl-C ends the run early.

    Returns how many images could not be classified.
    """
    done: list[Classification] = []
    try:
        with closing(results):
            for result in results:
                done.append(result)
                if as_json:
                    print_json(to_json(result))
                if result.error:
                    click.echo(escape_line(f"{result.path}: {result.error}"), err=True)
    finally:
        good = [result for result in done if not result.error]
        if good and not as_json:
            print_table(COLUMN_NAMES, [format_cells(each) for each in good])
    failed = len(done) - len(good)
    if failed:
        click.echo(f"{failed} of {len(done)} images could not be classified", err=True)
    if not done:
        click.echo(f"nothing to classify: {why_nothing}", err=True)
    return failed


def format_cells(result: Classification) -> tuple[str, ...]:
    return result.path, result.label, f"{result.score:.3f}", f"{result.margin:.3f}", result.runner_up


def to_json(result: Classification) -> dict[str, object]:
    """Every line has the same keys; a failed image has nulls, and `error`."""
    values = asdict(result)
    error = values.pop("error")
    if not error:
        return values
    return dict.fromkeys(values) | {"path": result.path, "id": result.id, "error": error}
