"""Real sidecar processes: started, observed and ended."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

PATIENCE_SECONDS = 120.0  # to load torch, on a machine that is busy with other things
POLL_SECONDS = 0.02
LISTENS = re.compile(r"listens on (http://127\.0\.0\.1:(\d+))")


@dataclass
class Sidecar:
    url: str
    child: subprocess.Popen[bytes]
    folder: Path
    _http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def request(self, method: str, path: str, **request: Any) -> httpx.Response:
        return self._http.request(method, path, **request)

    def vectorize(self, texts: list[str] | None = None, images: list[str] | None = None) -> httpx.Response:
        return self.request("POST", "/vectorize", json={"texts": texts or [], "images": images or []})

    def ready(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):  # not listening
            return self.request("GET", "/.well-known/ready").status_code == 204
        return False

    def serves(self) -> bool:
        """Alive, ready, and able to encode a new text."""
        fresh = f"fine {time.monotonic_ns() % 10**9}"
        return self.child.poll() is None and self.ready() and self.vectorize([fresh]).status_code == 200

    def passes(self) -> list[list[str]]:
        """The marks of the items of every pass so far, those of the warm-up too."""
        log = self.folder / "passes"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def encoded(self) -> list[str]:
        return [mark for marks in self.passes() for mark in marks]

    def stderr(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")


@contextmanager
def faulty(busy_seconds: float = 0, **environment: object) -> Iterator[Sidecar]:
    """A sidecar with a FaultyEncoder; `environment` holds CLIP_* settings."""
    with serving(["-m", "tests.faults.server", "{folder}/passes", str(busy_seconds)], environment) as sidecar:
        yield sidecar


@contextmanager
def emoji(**environment: object) -> Iterator[Sidecar]:
    """The real command with the bundled model."""
    with serving(["-m", "clip_vectorizer.cli", "serve", "--model", "emoji"], environment) as sidecar:
        yield sidecar


@contextmanager
def serving(command: list[str], environment: dict[str, object]) -> Iterator[Sidecar]:
    """A ready process on its own port; it always ends with the test."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arguments = [sys.executable, *(part.replace("{folder}", name) for part in command)]
        settings = {"CLIP_PORT": "0", **{key: str(value) for key, value in environment.items()}}
        with (folder / "stderr").open("wb") as stderr:  # no pipe: a full one would block the child
            child = subprocess.Popen(arguments, stderr=stderr, env={**os.environ, **settings})
        try:
            with ready_sidecar(child, folder) as sidecar:
                yield sidecar
        finally:
            child.kill()
            child.wait()


def ready_sidecar(child: subprocess.Popen[bytes], folder: Path) -> Sidecar:
    stderr = folder / "stderr"
    started = eventually(lambda: LISTENS.search(stderr.read_text()) or child.poll() is not None)
    found = LISTENS.search(stderr.read_text())
    assert started and found, f"the sidecar does not listen:\n{stderr.read_text()}"
    sidecar = Sidecar(found[1], child, folder)
    began = eventually(lambda: child.poll() is not None or sidecar.ready())
    assert began and child.poll() is None, f"the sidecar was never ready:\n{stderr.read_text()}"
    return sidecar


def eventually(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether `condition` becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
