"""State file of the stack in the background: readable by this user only, valid while its lock is held."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from clip_vectorizer.errors import StackError
from ingest.demo.places import Endpoints
from ingest.embedded.binary import get_cache_dir
from ingest.embedded.files import LockHeld, hold_lock

HOW_TO_END = "end it with `pkill -f ingest.demo.daemon`, which also ends its Weaviate, sidecar and page"


@dataclass(frozen=True, slots=True)
class DaemonState:
    pid: int  # of the daemon, whose children are Weaviate and the sidecar
    model: str
    endpoints: Endpoints | None = None  # None while they start
    gallery_url: str = ""  # of the search page, where one runs beside the stack
    gallery_errors: tuple[str, ...] = ()  # of each try to start one


@dataclass(frozen=True, slots=True)
class DaemonFiles:
    """Paths for the one background stack of a user."""

    state: Path
    lock: Path
    log: Path
    gallery_log: Path


def list_daemon_files(env: Mapping[str, str]) -> DaemonFiles:
    root = get_cache_dir(env)
    names = ("background.json", "background.lock", "background.log", "gallery.log")
    return DaemonFiles(*(root / name for name in names))


def find_running(files: DaemonFiles) -> DaemonState | None:
    """Return the state of the stack in the background, if one runs or starts. Remove the file of a dead one."""
    try:
        with hold_lock(files.lock, wait_seconds=0):
            files.state.unlink(missing_ok=True)
            return None
    except LockHeld:
        return read_state(files.state)


def read_state(path: Path) -> DaemonState | None:
    """Raises StackError for a file that `write_state` did not write."""
    try:
        fields = json.loads(path.read_text("utf-8"))
        endpoints = fields["endpoints"]
        return DaemonState(
            fields["pid"],
            fields["model"],
            Endpoints(**endpoints) if endpoints else None,
            fields.get("gallery_url", ""),  # absent in the file of an older stack, which must still end
            tuple(fields.get("gallery_errors", ())),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{path} is damaged ({error}), but a stack runs; {HOW_TO_END}") from error


def write_state(path: Path, state: DaemonState) -> None:
    """Write atomically and readable by this user only: the file holds the API key."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(asdict(state), out)
    draft.replace(path)
