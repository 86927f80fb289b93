"""Backups by Weaviate's backup modules: list them, start one or a restore, cancel it, read its state.

Weaviate itself writes and reads the files, where its module points: to a folder of the server (`filesystem`), or to a
bucket (`s3`, `gcs`, `azure`). None of them passes through this client.
"""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import httpx
from weaviate import WeaviateClient
from weaviate.backup.backup import BackupListReturn, BackupStatus, BackupStorage
from weaviate.exceptions import UnexpectedStatusCodeError

from clip_vectorizer.database.connection import UNAUTHORISED_STATUSES, ConnectionSettings, weaviate_errors
from clip_vectorizer.defaults import BACKUP_BACKENDS
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.near_strings import did_you_mean

BACKUP_NAME = re.compile(r"[a-z0-9_-]+")  # Weaviate's own rule
MODULE_PREFIX = "backup-"
GIGABYTE = 1 << 30  # Weaviate's unit for the size of a backup
REQUEST_SECONDS = 60.0
# Weaviate 1.39 names the files of a vector index by the second, and leaves the one in use out of a backup: one that
# begins in the second in which a collection was made has its objects, but not its vectors.
QUIET_SECONDS = 1.1
SHOWN_BACKUPS = 8  # in a sentence; --list has all
UNKNOWN_NODE = re.compile(r'cannot resolve hostname for "([^"]+)", nodes=map\[[^\s\]]+\]')  # a backup of one node
# What Weaviate's reason contains, and what to do about it.
REMEDIES = {
    "no space left on device": "free some space where Weaviate keeps its backups",
    "unexpected end of JSON input": "a file is not whole: free some space where Weaviate keeps its backups",
    "permission denied": "the user that Weaviate runs as must be able to write to its backup folder",
    "read-only file system": "Weaviate writes the state of a restore to its backup folder too: mount it writable",
    "not viable for backing up a node cluster": "add --backend s3, gcs or azure, with its module in Weaviate",
    "already in progress": "Weaviate does one at a time; try again when that one has ended",
    "higher version": "restore it into a Weaviate of that version, or a later one",
    "cannot resolve hostname": "the nodes of this cluster must have the names of those that made the backup",
}


class BackupTask(StrEnum):
    """The two tasks of a backup module."""

    CREATE = "create"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A backup as its module lists it. `status`: SUCCESS, FAILED, CANCELED, or what Weaviate is doing now."""

    name: str
    collections: tuple[str, ...]
    status: str
    started: datetime | None
    size: int  # bytes, before compression

    @classmethod
    def read(cls, row: BackupListReturn) -> "StoredBackup":
        names = tuple(sorted(row.collections))
        return cls(row.backup_id, names, row.status.value, row.started_at, round(row.size * GIGABYTE))


@dataclass(frozen=True, slots=True)
class TaskState:
    """How far a task is; `reason` is Weaviate's own where it failed or was cancelled."""

    status: BackupStatus
    reason: str
    path: str  # where the files are, as the server sees it
    size: int  # bytes, before compression; 0 until a backup is complete, and for a restore


class BackupModule:
    """One backup module of a running Weaviate. All methods raise VectorizerError with Weaviate's reason."""

    def __init__(self, client: WeaviateClient, connection: ConnectionSettings, backend: str) -> None:
        self.backend = backend
        self._client, self._connection = client, connection
        self._storage = BackupStorage(backend)

    def list_backups(self) -> list[StoredBackup]:
        """All backups of this module, also those that failed; newest first."""
        with self._errors():
            return [StoredBackup.read(row) for row in self._client.backup.list_backups(self._storage)]

    def find(self, name: str) -> StoredBackup:
        """Raises InputError, with the names that there are, for a name that there is not."""
        stored = self.list_backups()
        for each in stored:
            if each.name == name:
                return each
        raise InputError(f"there is no backup {name} ({self.backend}); {format_names(name, stored)}")

    def check_unused(self, name: str) -> None:
        """Raises InputError for a name that Weaviate rejects or that is taken, also by a backup that failed."""
        check_backup_name(name)
        for each in self.list_backups():
            if each.name == name:
                state = "" if each.status == BackupStatus.SUCCESS else f" ({each.status})"
                raise InputError(f"there is a backup {name} already{state}; name another one: a name is used once")

    def start(self, task: BackupTask, name: str, collections: Sequence[str]) -> None:
        """Returns as soon as Weaviate has begun; `read_state` has the progress. A backup begins after a pause of
        QUIET_SECONDS, so that it holds the whole vector index of a collection that was made just before.
        """
        if task is BackupTask.CREATE:
            time.sleep(QUIET_SECONDS)
            with self._errors():
                self._client.backup.create(name, self._storage, include_collections=list(collections))
            return
        try:
            self._send_restore(name, collections, {})
        except VectorizerError as error:
            renamed = self._match_nodes(str(error))
            if not renamed:
                raise
            self._send_restore(name, collections, renamed)

    def read_state(self, task: BackupTask, name: str) -> TaskState:
        backup = self._client.backup
        with self._errors():
            read = backup.get_create_status if task is BackupTask.CREATE else backup.get_restore_status
            row = read(name, self._storage)
        return TaskState(row.status, row.error or "", row.path, round(row.size * GIGABYTE))

    def cancel(self, task: BackupTask, name: str) -> None:
        """Raises VectorizerError where it is too late."""
        with self._errors():
            self._client.backup.cancel(name, self._storage, operation=task.value)

    def _send_restore(self, name: str, collections: Sequence[str], nodes: Mapping[str, str]) -> None:
        """`nodes`: names in the backup and here. weaviate-client cannot send them, so this is a plain request."""
        connection = self._connection
        key = {"Authorization": f"Bearer {connection.api_key}"} if connection.api_key else {}
        with self._errors():
            answer = httpx.post(
                f"{connection.weaviate_url.rstrip('/')}/v1/backups/{self.backend}/{name}/restore",
                json={"include": list(collections), "node_mapping": dict(nodes)},
                headers=key,
                timeout=REQUEST_SECONDS,
                trust_env=False,  # as weaviate-client: no proxy
            )
            if answer.status_code != httpx.codes.OK:
                raise UnexpectedStatusCodeError("restore", answer)

    def _match_nodes(self, reason: str) -> dict[str, str]:
        """The one node of a backup to the one node here, if that is why Weaviate refuses; else nothing."""
        unknown = UNKNOWN_NODE.search(reason)
        if unknown is None:
            return {}
        with self._errors():
            here = [node.name for node in self._client.cluster.nodes()]
        return {unknown[1]: here[0]} if len(here) == 1 else {}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        url = self._connection.weaviate_url
        with weaviate_errors(url):
            try:
                yield
            except UnexpectedStatusCodeError as error:
                if error.status_code in UNAUTHORISED_STATUSES:
                    raise
                raise VectorizerError(f"Weaviate at {url}: {explain(read_reason(error))}") from error


def open_module(client: WeaviateClient, connection: ConnectionSettings, backend: str | None) -> BackupModule:
    """The module of `backend`; None: the one that Weaviate has. Raises VectorizerError where it has none, InputError
    where it has several and none is named.
    """
    with weaviate_errors(connection.weaviate_url):
        modules: Mapping[str, Any] = client.get_meta().get("modules") or {}
    there = [each for each in BACKUP_BACKENDS if f"{MODULE_PREFIX}{each}" in modules]
    if backend is None and len(there) > 1:
        raise InputError(f"Weaviate has the backup modules of {' and '.join(there)}; add --backend {there[0]}")
    if not there or backend not in (None, *there):
        raise VectorizerError(missing_module(connection.weaviate_url, backend or BACKUP_BACKENDS[0], there))
    return BackupModule(client, connection, backend or there[0])


def missing_module(url: str, backend: str, there: Sequence[str]) -> str:
    module = f"{MODULE_PREFIX}{backend}"
    place = "BACKUP_FILESYSTEM_PATH=/backups" if backend == "filesystem" else "the settings of its bucket"
    other = f", or add --backend {there[0]}, which it has" if there else ""
    return (
        f"Weaviate at {url} runs without the module {module}; start it with ENABLE_MODULES=multi2vec-clip,{module} "
        f"and {place} (docs/deploy.md){other}"
    )


def check_backup_name(name: str) -> None:
    if not BACKUP_NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a backup; take small letters, digits, - and _, for example {suggest_name(name)}"
        )


def suggest_name(name: str) -> str:
    """
    >>> suggest_name("Before the Move!")
    'before-the-move'
    """
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-") or "monday"


def format_names(name: str, stored: Sequence[StoredBackup]) -> str:
    if not stored:
        return "there is none at all; `clip-ingest backup` makes one"
    names = [each.name for each in stored]
    more = f" and {len(names) - SHOWN_BACKUPS} older ones" if len(names) > SHOWN_BACKUPS else ""
    return f"{did_you_mean(name, names)}there are {', '.join(names[:SHOWN_BACKUPS])}{more}"


def read_reason(error: UnexpectedStatusCodeError) -> str:
    """The sentence in Weaviate's response, else the whole error."""
    body: Any = error.error
    try:
        return str(body["error"][0]["message"])
    except (TypeError, LookupError):
        return str(error)


def explain(reason: str) -> str:
    """`reason` on one line, with what to do about it where that is known.

    >>> explain("write /backups/x: no space left on device")
    'write /backups/x: no space left on device; free some space where Weaviate keeps its backups'
    """
    line = " ".join(reason.split()).rstrip(" .:")
    return next((f"{line}; {remedy}" for mark, remedy in REMEDIES.items() if mark in line), line)
