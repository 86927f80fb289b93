"""What `clip-ingest backup` and `clip-ingest restore` do: connect, run with progress on stderr, print a line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.backups import BackupModule, StoredBackup, check_backup_name, open_module
from clip_vectorizer.database.connection import ConnectionSettings, connect_weaviate
from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.progress import StepDisplay
from clip_vectorizer.query.display.tables import prepare_streams, print_json, print_table
from clip_vectorizer.terminal import escape_line
from ingest.backup import BackupOutcome, StoredCollection, make_backup, restore_backup
from ingest.store.open import read_weaviate_model

COLUMN_NAMES = ("backup", "started", "status", "size", "collections")
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def run_backup(name: str | None, collections: Sequence[str], as_json: bool, **values: Any) -> None:
    if name is not None:
        check_backup_name(name)
    with open_backups(values) as (client, module), StepDisplay() as progress:
        outcome = make_backup(client, values["weaviate_url"], module, name, collections, progress)
    print_outcome(outcome, module.backend, as_json, f"{format_collections(outcome)} -> {format_place(outcome, module)}")


def run_restore(name: str, collections: Sequence[str], as_json: bool, **values: Any) -> None:
    with open_backups(values) as (client, module):
        with StepDisplay() as progress:
            outcome = restore_backup(client, values["weaviate_url"], module, name, collections, progress)
        warn_about_labels(outcome)
        warn_about_models(client, values["weaviate_url"], outcome)
    print_outcome(outcome, module.backend, as_json, f"{format_place(outcome, module)} -> {format_collections(outcome)}")


def list_backups(as_json: bool, **values: Any) -> None:
    prepare_streams()
    with open_backups(values) as (_, module):
        stored = module.list_backups()
    if as_json:
        for each in stored:
            print_json(build_row(each))
    elif stored:
        print_table(COLUMN_NAMES, [format_row(each) for each in stored])
    else:
        click.echo(f"no backups yet ({module.backend}); `clip-ingest backup` makes one", err=True)


@contextmanager
def open_backups(values: Mapping[str, Any]) -> Iterator[tuple[WeaviateClient, BackupModule]]:
    connection = ConnectionSettings(values["weaviate_url"], values["weaviate_grpc_port"], values["weaviate_api_key"])
    with connect_weaviate(connection.weaviate_url, connection.grpc_port, connection.api_key) as client:
        yield client, open_module(client, connection, values["backend"])


def build_row(stored: StoredBackup) -> dict[str, object]:
    return {
        "backup": stored.name,
        "started": stored.started,
        "status": stored.status,
        "bytes": stored.size,
        "collections": stored.collections,
    }


def format_row(stored: StoredBackup) -> tuple[str, ...]:
    started = f"{stored.started:%Y-%m-%d %H:%M}" if stored.started else ""
    return stored.name, started, stored.status, format_bytes(stored.size), ", ".join(stored.collections)


def format_place(outcome: BackupOutcome, module: BackupModule) -> str:
    return f"{outcome.name} ({module.backend})"


def format_collections(outcome: BackupOutcome) -> str:
    size = f", {format_bytes(outcome.state.size)}" if outcome.state.size else ""
    return f"{', '.join(map(format_collection, outcome.collections))}{size}, in {outcome.seconds:.1f} s"


def format_collection(stored: StoredCollection) -> str:
    """
    >>> format_collection(StoredCollection("Image", 1, 0, None))
    'Image (1 object)'
    """
    count, noun = (stored.tenants, "tenant") if stored.objects is None else (stored.objects, "object")
    return f"{stored.name} ({count:,} {noun}{'' if count == 1 else 's'})"


def format_bytes(count: float) -> str:
    """
    >>> format_bytes(407_067)
    '407 kB'
    """
    for unit in UNITS:
        if count < 1000 or unit == UNITS[-1]:
            break
        count /= 1000
    return f"{count:.3g} {unit}"


def print_outcome(outcome: BackupOutcome, backend: str, as_json: bool, sentence: str) -> None:
    if not as_json:
        click.echo(escape_line(sentence))
        return
    row = {
        "backup": outcome.name,
        "backend": backend,
        "path": outcome.state.path,
        "collections": {each.name: build_counts(each) for each in outcome.collections},
        "left": outcome.left,
        "bytes": outcome.state.size,
        "seconds": round(outcome.seconds, 3),
    }
    click.echo(json.dumps(row, ensure_ascii=False))


def build_counts(stored: StoredCollection) -> dict[str, object]:
    counts = {"tenants": stored.tenants} if stored.objects is None else {"objects": stored.objects}
    return counts | {"model": stored.description.model.model if stored.description else None}


def warn_about_labels(outcome: BackupOutcome) -> None:
    if outcome.left:
        click.echo(f"not restored, because it exists: {', '.join(outcome.left)}", err=True)


def warn_about_models(client: WeaviateClient, url: str, outcome: BackupOutcome) -> None:
    """A restored collection keeps its model. Where the sidecar runs another one, searches would be refused."""
    info = find_model(client, url)
    for each in outcome.collections:
        if info and each.description and not each.description.model.agrees_with(info):
            click.echo(
                f"{each.name} was made with the model {each.description.model}, and Weaviate's sidecar runs "
                f"{StoredModel.of(info)}: start the sidecar with the first one, or move the collection with "
                f"clip-ingest --reindex --collection {each.name}",
                err=True,
            )


def find_model(client: WeaviateClient, url: str) -> ModelInfo | None:
    """The model of Weaviate's sidecar, or None where that cannot be read: a restore needs none."""
    try:
        return read_weaviate_model(client, url, None, None, needed=False)
    except VectorizerError:
        return None
