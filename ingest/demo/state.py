"""What is known of the stack in the background: a file that only this user can read, true while its lock is held."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from clip_vectorizer.errors import StackError
from ingest.demo.places import Endpoints
from ingest.embedded.locate import cache_dir
from ingest.embedded.lock import Busy, locked

BY_HAND = "end it with `pkill -f ingest.demo.holder`, which ends its Weaviate and sidecar too"


@dataclass(frozen=True, slots=True)
class State:
    pid: int  # of the process that holds Weaviate and the sidecar
    model: str
    endpoints: Endpoints | None = None  # None while they start


@dataclass(frozen=True, slots=True)
class Files:
    """One stack in the background a user."""

    state: Path
    lock: Path
    log: Path


def files(env: Mapping[str, str]) -> Files:
    root = cache_dir(env)
    return Files(root / "background.json", root / "background.lock", root / "background.log")


def running(where: Files) -> State | None:
    """The stack in the background, if one runs or starts. What a dead one left behind is removed."""
    try:
        with locked(where.lock, wait_seconds=0):
            where.state.unlink(missing_ok=True)
            return None
    except Busy:
        return read(where.state)


def read(path: Path) -> State | None:
    """Raises StackError for a file that something else than `write` has left."""
    try:
        found = json.loads(path.read_text("utf-8"))
        endpoints = found["endpoints"]
        return State(found["pid"], found["model"], Endpoints(**endpoints) if endpoints else None)
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StackError(f"{path} is damaged ({error}), but a stack runs; {BY_HAND}") from error


def write(path: Path, state: State) -> None:
    """In one move and never readable by others: it holds the key."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(asdict(state), out)
    draft.replace(path)
