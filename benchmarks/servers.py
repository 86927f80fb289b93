"""The servers that are compared, each a process of its own on a free port of the loopback interface."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
READY = "/.well-known/ready"
START_SECONDS = 300.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.2
MODEL = "ViT-B-32::random"  # speed does not depend on the weights


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    url: str
    pid: int


@contextmanager
def start_own_server(precision: str, model: str = MODEL, **env: str) -> Iterator[Server]:
    """`clip-vectorizer serve` as a user starts it."""
    words = ("-m", "clip_vectorizer.cli", "serve", "--model", model, "--precision", precision, "--port", "PORT")
    with run_server(f"ours, {precision}", (sys.executable, *words), env=env) as server:
        yield server


@contextmanager
def start_one_at_a_time(model: str = MODEL) -> Iterator[Server]:
    """The upstream container's way of working, rewritten: see one_at_a_time.py."""
    words = (sys.executable, str(HERE / "one_at_a_time.py"), "--model", model.partition("::")[0], "--port", "PORT")
    with run_server("one at a time", words) as server:
        yield server


@contextmanager
def start_upstream(source: Path, python: Path, kind: str, architecture: str = "ViT-B-32") -> Iterator[Server]:
    """The upstream container's own code under its own Python, with random weights. `kind`: open_clip, transformers."""
    with TemporaryDirectory() as folder:
        subprocess.run(
            (python, HERE / "upstream_models.py", kind, architecture, folder),
            check=True,
            env=make_offline_environment(),
        )
        words = (str(python), "-m", "uvicorn", "app:app", "--app-dir", str(source.resolve()), "--port", "PORT")
        with run_server(f"upstream, {kind}", words, cwd=Path(folder)) as server:
            yield server


def make_offline_environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1"}


@contextmanager
def run_server(
    name: str,
    words: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    ready: str = READY,
) -> Iterator[Server]:
    """`words` with PORT replaced, ready to answer; stopped at the end. Raises RuntimeError when it does not start.

    `ready` is the path that is answered with success once the server is.
    """
    port = find_free_port()
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("wb") as file:
            command = [word.replace("PORT", str(port)) for word in words]
            process = subprocess.Popen(
                command, cwd=cwd, env={**make_offline_environment(), **(env or {})}, stdout=file, stderr=file
            )
        try:
            wait_until_ready(process, server := Server(name, f"http://127.0.0.1:{port}", process.pid), log, ready)
            yield server
        finally:
            stop_server(process)


def wait_until_ready(process: "subprocess.Popen[bytes]", server: Server, log: Path, ready: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(server.url + ready):
        if process.poll() is not None or time.monotonic() > deadline:
            state = "is not ready" if process.poll() is None else "has ended"
            raise RuntimeError(f"{server.name} {state}: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(POLL_SECONDS)


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status in (200, 204))
    except (urllib.error.URLError, OSError):
        return False


def stop_server(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def find_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
