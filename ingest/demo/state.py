"""What is known of the stack in the background: a file that only this user can read, true while its lock is held."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from clip_vectorizer.errors import StackError
from ingest.demo.places import Endpoints
from ingest.embedded.binary import get_cache_dir
from ingest.embedded.files import LockHeld, hold_lock

HOW_TO_END = "end it with `pkill -f ingest.demo.daemon`, which ends its Weaviate and sidecar too"


@dataclass(frozen=True, slots=True)
class DaemonState:
    pid: int  # of the process that holds Weaviate and the sidecar
    model: str
    endpoints: Endpoints | None = None  # None while they start


@dataclass(frozen=True, slots=True)
class DaemonFiles:
    """One stack in the background a user."""

    state: Path
    lock: Path
    log: Path


def list_daemon_files(env: Mapping[str, str]) -> DaemonFiles:
    root = get_cache_dir(env)
    return DaemonFiles(root / "background.json", root / "background.lock", root / "background.log")


def find_running(where: DaemonFiles) -> DaemonState | None:
    """The stack in the background, if one runs or starts. What a dead one left behind is removed."""
    try:
        with hold_lock(where.lock, wait_seconds=0):
            where.state.unlink(missing_ok=True)
            return None
    except LockHeld:
        return read_state(where.state)


def read_state(path: Path) -> DaemonState | None:
    """Raises StackError for a file that something else than `write_state` has left."""
    try:
        found = json.loads(path.read_text("utf-8"))
        endpoints = found["endpoints"]
        return DaemonState(found["pid"], found["model"], Endpoints(**endpoints) if endpoints else None)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{path} is damaged ({error}), but a stack runs; {HOW_TO_END}") from error


def write_state(path: Path, state: DaemonState) -> None:
    """In one move and never readable by others: it holds the key."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(asdict(state), out)
    draft.replace(path)
