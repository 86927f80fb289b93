"""How `clip-classify` shows its answers: a table for people, one JSON object a line for programs."""

from collections.abc import Iterable
from dataclasses import asdict

import click

from clip_vectorizer.query.display.tables import print_json, print_table
from clip_vectorizer.query.zeroshot import Classification
from clip_vectorizer.terminal import escape_line

COLUMN_NAMES = ("path", "label", "score", "margin", "runner-up")

EMPTY_COLLECTION = "no image is there; fill the collection with `clip-ingest FOLDER`"


def show_classifications(results: Iterable[Classification], as_json: bool, why_nothing: str = EMPTY_COLLECTION) -> int:
    """Shows all of them, the JSON lines as they come, and returns how many images could not be classified.

    Whatever ends it early, what there is by then is shown.
    """
    done: list[Classification] = []
    try:
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
    """Every line has the same keys; one that failed has nulls, and `error`."""
    values = asdict(result)
    error = values.pop("error")
    if not error:
        return values
    return dict.fromkeys(values) | {"path": result.path, "id": result.id, "error": error}
