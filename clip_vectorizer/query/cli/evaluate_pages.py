"""What `clip-eval --pages` does: draw, embed, measure, then print."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from clip_vectorizer.errors import InputError
from clip_vectorizer.exit_codes import SOME_FAILED
from clip_vectorizer.query.adapt.regression import import_regression
from clip_vectorizer.query.cli.evaluate_actions import show_left_out, status_line
from clip_vectorizer.query.display.tables import prepare_streams, print_json
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.pages import measure_pages
from clip_vectorizer.query.evaluation.pages_corpus import PageRecord, read_corpus, read_tests
from clip_vectorizer.query.evaluation.pages_report import format_report, list_json_rows
from clip_vectorizer.query.evaluation.pages_vectors import encode_pages
from clip_vectorizer.query.evaluation.pages_views import PageView, draw_corpus
from clip_vectorizer.query.evaluation.sidecars import connect_sidecar


def run_pages(values: Mapping[str, Any]) -> None:
    """`clip-eval --pages`. Exits with 3 if some pages could not be read. Raises InputError without scikit-learn."""
    prepare_streams()
    import_regression()  # raises now, not after minutes of work
    corpus, models = values["corpus"], tuple(dict.fromkeys(values["models"]))
    folders = [(corpus, read_corpus(corpus, values["limit"]))]
    folders += [(each, read_tests(each, values["limit"])) for each in dict.fromkeys(values["pages"])]
    with open_cache(values["cache"]) as folder, status_line() as progress:
        pages, left_out = draw_folders(folders, folder, progress)
        encoders = []
        for model in models:
            with connect_sidecar(model, values["vectorizer_api_key"], progress) as sidecar:
                encoded, refused = encode_pages(model, pages, folder, sidecar, progress)
            encoders.append(encoded)
            left_out += refused
        rows = measure_pages([page for page in pages if all(each.has(page) for each in encoders)], encoders, progress)
    show_left_out(dict(left_out).items())
    if values["as_json"]:
        for row in list_json_rows(rows):
            print_json(row)
    else:
        click.echo(format_report(rows))
    sys.exit(SOME_FAILED if left_out else 0)


def draw_folders(
    folders: Sequence[tuple[Path, Sequence[PageRecord]]], kept: Path, progress: Progress
) -> tuple[list[PageView], list[tuple[str, str]]]:
    """Draw the pages of all folders. Those after the first add their own name to paths, as two may have equal ones."""
    pages: list[PageView] = []
    left_out: list[tuple[str, str]] = []
    for number, (folder, records) in enumerate(folders):
        drawn, missed = draw_corpus(folder, records, kept, progress)
        if number:
            drawn = [replace(each, record=replace(each.record, path=str(folder / each.record.path))) for each in drawn]
            missed = [(str(folder / name), reason) for name, reason in missed]
        pages += drawn
        left_out += missed
    return pages, left_out


@contextmanager
def open_cache(folder: Path | None) -> Iterator[Path]:
    """Yield the folder, made if it is missing; without one a temporary one. Raises InputError."""
    if folder is None:
        with TemporaryDirectory() as temporary:
            yield Path(temporary)
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--cache {folder} cannot be made ({error.strerror})") from error
    yield folder
