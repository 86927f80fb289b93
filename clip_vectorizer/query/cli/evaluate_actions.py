"""What the commands of `clip-eval` do: measure, then print."""

import logging
import shlex
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo, VectorizerClient
from clip_vectorizer.counts import format_count
from clip_vectorizer.database.collections import read_collection
from clip_vectorizer.database.connection import connect_weaviate, weaviate_errors
from clip_vectorizer.defaults import MEASURED_QUANTIZERS
from clip_vectorizer.errors import InputError
from clip_vectorizer.exit_codes import SOME_FAILED
from clip_vectorizer.progress import open_display
from clip_vectorizer.query.choices import MIN_VECTORS
from clip_vectorizer.query.connect import check_collection_exists, check_search
from clip_vectorizer.query.display.tables import prepare_streams, print_json, print_table
from clip_vectorizer.query.evaluation.compare import ModelRanks, compare_models, rank_images
from clip_vectorizer.query.evaluation.dataset import (
    LabelledImages,
    Progress,
    iterate_labelled_rows,
    load_labelled_collection,
    load_labelled_folder,
    read_names,
)
from clip_vectorizer.query.evaluation.evaluate import Evaluation, evaluate
from clip_vectorizer.query.evaluation.index_data import synthesise_vectors
from clip_vectorizer.query.evaluation.index_recall import IndexConfig, build_index_table
from clip_vectorizer.query.evaluation.limits import LimitFindings, measure_limits
from clip_vectorizer.query.evaluation.limits_scenes import load_drawings
from clip_vectorizer.query.evaluation.plots import prepare_matplotlib
from clip_vectorizer.query.evaluation.sidecars import connect_sidecar
from clip_vectorizer.query.evaluation.statistics import SEED
from clip_vectorizer.query.evaluation.tables import Table
from clip_vectorizer.terminal import escape_line
from clip_vectorizer.vectors import Vectors, unit

QUERY_SHARE = 10  # one in so many stored vectors is a query
MAX_CONFUSION_CLASSES = 25  # classes whose confusion matrix fits a terminal


def run_evaluation(values: Mapping[str, Any]) -> None:
    """`clip-eval run`. Exits with 3 if some images could not be read."""
    prepare_streams()
    folder, report = values["folder"], values["report"]
    if report is not None:
        prepare_matplotlib()  # raises now, not after minutes of work, if matplotlib is missing
    with (
        count_truncated_texts(),
        status_line() as progress,
        VectorizerClient(values["vectorizer_url"], api_key=values["vectorizer_api_key"]) as sidecar,
    ):
        info = sidecar.meta()
        labelled = (
            load_labelled_folder(folder, sidecar, progress) if folder else load_collection(values, info, progress)
        )
        names = read_names(values["class_names"], labelled.classes) if values["class_names"] else []
        evaluation = evaluate(labelled, info, sidecar, progress, values["whole"], names)
    show_evaluation(evaluation, values["as_json"], report)
    sys.exit(SOME_FAILED if labelled.left_out else 0)


def load_collection(values: Mapping[str, Any], info: ModelInfo, progress: Progress) -> LabelledImages:
    collection, tenant = values["collection"], values["tenant"]
    with connect(values) as client:
        vector = check_search(client, values["weaviate_url"], info, collection, tenant).description.vector
        return load_labelled_collection(client, values["weaviate_url"], collection, vector, tenant, progress)


def run_comparison(values: Mapping[str, Any]) -> None:
    """`clip-eval compare`. Exits with 3 if some images could not be read."""
    prepare_streams()
    folder, api_key = values["folder"], values["vectorizer_api_key"]
    with count_truncated_texts(), status_line() as progress:
        first, images = measure_side("A", values["first"], folder, api_key, progress)
        second, same_images = measure_side("B", values["second"], folder, api_key, progress)
    left_out = dict([*images.left_out, *same_images.left_out])
    show_left_out(left_out.items())
    if images.skipped:
        click.echo(f"note: {escape_line(images.skipped)}", err=True)
    show_tables([compare_models(first, second)], values["as_json"])
    sys.exit(SOME_FAILED if left_out else 0)


def measure_side(
    letter: str, model: str, folder: Path, api_key: str | None, progress: Progress
) -> tuple[ModelRanks, LabelledImages]:
    with connect_sidecar(model, api_key, progress) as sidecar:
        info = sidecar.meta()
        labelled = load_labelled_folder(folder, sidecar, progress)
        return rank_images(f"{letter} ({info.model})", labelled, info.model, sidecar, progress), labelled


def run_limits(values: Mapping[str, Any]) -> None:
    """`clip-eval limits`. Exits with 3 if some images could not be read."""
    prepare_streams()
    report = values["report"]
    if report is not None:
        prepare_matplotlib()  # raises now, not after minutes of work, if matplotlib is missing
    folder, language = values["folder"], values["language"]
    with count_truncated_texts(), status_line() as progress:
        # Before the sidecar: a large model takes minutes to start, and the folder may be of no use.
        drawings = load_drawings(folder, language, values["most"], progress) if folder else None
        with connect_sidecar(values["model"], values["vectorizer_api_key"], progress) as sidecar:
            findings = measure_limits(drawings, sidecar, progress, values["tasks"], language)
    show_limits(findings, values["as_json"], report)
    sys.exit(SOME_FAILED if findings.folder and findings.folder.left_out else 0)


def run_index(values: Mapping[str, Any]) -> None:
    """`clip-eval index`. Raises InputError for too few vectors."""
    prepare_streams()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # drops the temporary collections
    quantizers = values["quantizers"] or MEASURED_QUANTIZERS
    indexes = [IndexConfig(name, values["rescore_limit"], values["ef"]) for name in quantizers]
    url, collection = values["weaviate_url"], values["collection"]
    with status_line() as progress, connect(values) as client:
        vector = find_vector_name(client, url, collection)
        rows = iterate_labelled_rows(client, url, collection, vector, values["tenant"])
        stored = [vector_d for _, vector_d in rows if vector_d is not None]
        vectors_nd, queries_qd = split_vectors(stored, values["count"], values["queries"])
        table = build_index_table(client, url, indexes, vectors_nd, queries_qd, progress)
    show_tables([table], values["as_json"])


def connect(values: Mapping[str, Any]) -> WeaviateClient:
    return connect_weaviate(values["weaviate_url"], values["weaviate_grpc_port"], values["weaviate_api_key"])


def find_vector_name(client: WeaviateClient, url: str, collection: str) -> str:
    """Raises InputError for a missing collection, with the names of those that exist."""
    with weaviate_errors(url):
        check_collection_exists(collection, client.collections.list_all(simple=True), url)
        return read_collection(client, collection).description.vector


def split_vectors(stored: list[Vectors], count: int | None, queries: int) -> tuple[Vectors, Vectors]:
    """The vectors (N, D) to index, and others (Q, D) of the same kind as queries. Raises InputError for too few."""
    if count is None and len(stored) < MIN_VECTORS:
        raise InputError(
            f"{format_count(len(stored), 'vector')} stored, too few to measure; --vectors {MIN_VECTORS} generates "
            "more from them"
        )
    vectors_nd = unit(np.stack(stored)) if stored else np.empty((0, 0), dtype=np.float32)
    if count is not None:
        generated_nd = synthesise_vectors(vectors_nd, count + queries, SEED)
        return generated_nd[:count], generated_nd[count:]
    shuffled_nd = np.random.default_rng(SEED).permutation(vectors_nd)
    held = min(queries, len(shuffled_nd) // QUERY_SHARE)
    return shuffled_nd[held:], shuffled_nd[:held]


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


def show_limits(findings: LimitFindings, as_json: bool, report: Path | None) -> None:
    if findings.folder:
        show_left_out(findings.folder.left_out)
        drawings = f"{len(findings.folder.drawings)} images of {findings.folder.source}, "
    else:
        drawings = ""
    click.echo(f"{drawings}model {findings.model.model}", err=True)
    show_tables(findings.tables, as_json)
    for note in findings.notes:
        click.echo(f"note: {note}", err=True)
    if report is not None:
        from clip_vectorizer.query.evaluation.limits_report import write_limits_report

        click.echo(f"report: {write_limits_report(findings, report, command_line())}", err=True)


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
