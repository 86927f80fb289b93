"""Who is measured: `clip-ingest` and the documented loop as processes, and the sidecar without a database."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.servers import start_own_server
from clip_vectorizer.client import VectorizerClient
from ingest.embedded import LocalWeaviate

REQUEST, IN_FLIGHT = 64, 2  # the most a request takes; a third request in flight gains nothing
CLIENT, MODULE = ("--embed", "client"), ()  # the two ways of `clip-ingest` to vectors
INGEST = Path(sys.executable).with_name("clip-ingest")


@dataclass(frozen=True, slots=True)
class Stack:
    weaviate: LocalWeaviate
    sidecar_url: str
    sidecar_pid: int

    @property
    def env(self) -> dict[str, str]:
        """What commands find it by."""
        return {
            "WEAVIATE_URL": self.weaviate.url,
            "WEAVIATE_GRPC_PORT": str(self.weaviate.grpc_port),
            "WEAVIATE_API_KEY": self.weaviate.api_key,
            "VECTORIZER_URL": self.sidecar_url,
        }


@dataclass(frozen=True, slots=True)
class Took:
    items: int
    seconds: float  # from the report of the command: without the start of Python
    process_seconds: float  # all of it

    @property
    def rate(self) -> float:
        return self.items / self.seconds

    @property
    def process_rate(self) -> float:
        return self.items / self.process_seconds


@contextmanager
def stack(model: str, precision: str) -> Iterator[Stack]:
    """A new Weaviate and a sidecar. All sides send the same files, so the sidecar keeps no vectors by content."""
    with (
        TemporaryDirectory() as folder,
        start_own_server(precision, model, CLIP_CACHE_BYTES="0") as sidecar,
        LocalWeaviate(Path(folder) / "data", sidecar.url) as weaviate,
    ):
        yield Stack(weaviate, sidecar.url, sidecar.pid)


def ingest(servers: Stack, folders: Sequence[Path], collection: str, way: Sequence[str], fate: str) -> Took:
    """`clip-ingest`. Raises RuntimeError unless every file ends as `fate` ("added", "unchanged")."""
    words = [str(INGEST), *map(str, folders), "--collection", collection, "--json", *way]
    return run(servers, words, sum(len(files_of(folder)) for folder in folders), fate)


def documented(servers: Stack, folder: Path) -> Took:
    """The loop of Weaviate's documentation: see documented.py."""
    words = [str(Path(__file__).with_name("documented.py")), str(folder)]
    return run(servers, words, len(files_of(folder)), "added")


def sidecar_alone(servers: Stack, folder: Path) -> Took:
    """The best that a plain client gets out of the sidecar: large requests of files as they are, two in flight."""
    files = files_of(folder)
    parts = [files[start : start + REQUEST] for start in range(0, len(files), REQUEST)]
    with VectorizerClient(servers.sidecar_url) as client, ThreadPoolExecutor(IN_FLIGHT) as pool:
        client.meta()  # the connection is there
        start = time.monotonic()
        for _ in pool.map(lambda part: client.embed_images([file.read_bytes() for file in part]), parts):
            pass
        seconds = time.monotonic() - start
    return Took(len(files), seconds, seconds)


def run(servers: Stack, words: Sequence[str], wanted: int, fate: str) -> Took:
    start = time.monotonic()
    done = subprocess.run(
        (sys.executable, *words), env={**os.environ, **servers.env}, capture_output=True, text=True, check=False
    )
    process_seconds = time.monotonic() - start
    if done.returncode:
        raise RuntimeError(f"{words[-1]}: exit code {done.returncode}: {done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    if report[fate] != wanted:
        raise RuntimeError(f"{report[fate]} of {wanted} files were {fate}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Took(wanted, report["seconds"], process_seconds)


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))
