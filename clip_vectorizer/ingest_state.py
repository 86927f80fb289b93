"""How far an ingest is: a small file for each, which `clip-ingest` writes and `clip-gallery` reads.

The heart-beat decides whether an ingest still runs: a process number means nothing in another container.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

RUNNING, WATCHING, FINISHED, STOPPED = STATUSES = ("running", "watching", "finished", "stopped")
BEAT_SECONDS = 1.0
DEAD_SECONDS = 10.0  # without a beat
MAX_STATE_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class IngestState:
    """How far an ingest is. Times are seconds since 1970."""

    database: str  # see `name_database`
    collection: str
    tenant: str | None
    pid: int
    began: float
    beat: float
    status: str = RUNNING
    stored: int = 0
    failed: int = 0
    seen: int = 0  # images that were listed so far
    complete: bool = False  # whether these are all
    rate: float = 0.0  # images a second, lately

    @property
    def target(self) -> tuple[str, str, str | None]:
        """What it fills: database, collection and tenant."""
        return self.database, self.collection, self.tenant

    def find_status(self, now: float) -> str:
        """Return the status; a process that was killed could not write that it stopped."""
        is_silent = self.status in (RUNNING, WATCHING) and now - self.beat > DEAD_SECONDS
        return STOPPED if is_silent else self.status


def find_state_folder(env: Mapping[str, str]) -> Path:
    """Return the folder of this user: below $XDG_STATE_HOME, else below ~/.local/state."""
    root = env.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(root) / "clip-vectorizer" / "ingests"


def name_database(weaviate_url: str) -> str:
    """Return one name for the addresses of a server.

    >>> name_database("http://LOCALHOST:8080/"), name_database("https://db.example")
    ('127.0.0.1:8080', 'db.example:443')
    """
    try:
        parts = urlsplit(weaviate_url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return weaviate_url
    return f"{'127.0.0.1' if host in ('localhost', '::1') else host}:{port}"


def write_state(file: Path, state: IngestState) -> None:
    """Replace the file atomically. Raises OSError."""
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(state)), encoding="utf-8")
    draft.replace(file)


def read_states(folder: Path) -> Iterator[tuple[Path, IngestState]]:
    """Yield every state with its file; files that are none are left out."""
    with suppress(OSError):
        for file in sorted(folder.glob("*.json")):
            state = read_state(file)
            if state is not None:
                yield file, state


def read_state(file: Path) -> IngestState | None:
    try:
        with file.open("rb") as opened:
            values = json.loads(opened.read(MAX_STATE_BYTES))
        state = IngestState(**values)
        numbers = (state.began, state.beat, state.stored, state.failed, state.seen, state.rate)
        is_valid = all(isinstance(each, int | float) for each in numbers) and state.status in STATUSES
        return state if is_valid else None
    except (OSError, ValueError, TypeError):
        return None


def name_state_file(folder: Path) -> Path:
    """Return a file that no other process has: in containers, process numbers are equal."""
    return folder / f"{os.getpid()}-{time.time_ns()}.json"
