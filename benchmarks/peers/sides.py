"""Who is measured: a server under a load like Weaviate's, or a program's loop over batches of as many items.

N items · D dimensions
"""

import base64
import http.client
import json
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Literal, Protocol
from urllib.parse import urlsplit

import numpy as np

from benchmarks.load import (
    TIMEOUT_SECONDS,
    VECTORIZE,
    drive_load,
    make_image_bodies,
    make_text_bodies,
    post,
    read_vector,
)
from benchmarks.peers.environments import PeerUnavailable, summarise_error
from benchmarks.servers import STOP_SECONDS, Server, make_offline_environment

LEAST_TURNS = 2  # of all that are in flight
LOOP = Path(__file__).with_name("loop.py")
Kind = Literal["image", "text"]


class PeerSide(Protocol):
    """`items` are paths of images, or texts; all are different."""

    @property
    def pids(self) -> Sequence[int]:
        """The processes, without their children, whose memory is the side's."""

    @property
    def client_pids(self) -> Sequence[int]:
        """Those of a client that belongs to the side; the load's own client is this process."""

    def measure(self, kind: Kind, items: Sequence[str], in_flight: int, seconds: float) -> float:
        """Items a second with so many at once."""

    def embed(self, kind: Kind, items: Sequence[str]) -> np.ndarray:
        """(N, D) float32, unit rows."""


@dataclass(frozen=True, slots=True)
class ServerInterface:
    """How a server takes one item a request, over HTTP."""

    path: str
    image_bodies: Callable[[Sequence[bytes]], list[bytes]]
    text_bodies: Callable[[Sequence[str]], list[bytes]]
    read: Callable[[bytes], list[float]]

    def make_bodies(self, kind: Kind, items: Sequence[str]) -> list[bytes]:
        if kind == "text":
            return self.text_bodies(items)
        return self.image_bodies([Path(item).read_bytes() for item in items])


@dataclass(frozen=True, slots=True)
class ServerSide:
    server: Server
    interface: ServerInterface

    @property
    def pids(self) -> Sequence[int]:
        return (self.server.pid,)

    @property
    def client_pids(self) -> Sequence[int]:
        return ()

    def measure(self, kind: Kind, items: Sequence[str], in_flight: int, seconds: float) -> float:
        bodies = self.interface.make_bodies(kind, items)
        url = self.server.url + self.interface.path
        return drive_load(url, bodies, in_flight, seconds, read=self.interface.read, least_turns=LEAST_TURNS).rate

    def embed(self, kind: Kind, items: Sequence[str]) -> np.ndarray:
        parts = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        try:
            bodies = self.interface.make_bodies(kind, items)
            answers = [post(connection, self.interface.path, body).body for body in bodies]
        finally:
            connection.close()
        return np.array([self.interface.read(answer) for answer in answers], np.float32)


class LoopSide:
    """A handle on loop.py. A context manager."""

    def __init__(self, name: str, process: "subprocess.Popen[str]", errors: IO[str], others: Sequence[int]) -> None:
        self._name, self._process, self._errors, self._others = name, process, errors, others

    @property
    def pids(self) -> Sequence[int]:
        return self._others or (self._process.pid,)

    @property
    def client_pids(self) -> Sequence[int]:
        return (self._process.pid,) if self._others else ()

    def measure(self, kind: Kind, items: Sequence[str], in_flight: int, seconds: float) -> float:
        done = self._order(kind=kind, items=list(items), batch=in_flight, seconds=seconds)
        return float(done["items"] / done["seconds"])

    def embed(self, kind: Kind, items: Sequence[str]) -> np.ndarray:
        return np.array(self._order(kind=kind, items=list(items), batch=1, vectors=True)["vectors"], np.float32)

    def _order(self, **order: object) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._errors.seek(0)
            raise PeerUnavailable(f"does not run: {summarise_error(self._errors.read())}")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def start_loop(
    python: Path, library: str, weights: Path, *options: str, others: Sequence[int] = ()
) -> Iterator[LoopSide]:
    """loop.py under `python`; `others` are processes whose memory counts instead of its own."""
    words = (str(python), str(LOOP), library, str(weights), *options)
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=make_offline_environment(),
        )
        try:
            yield LoopSide(library, process, errors, others)
        finally:
            assert process.stdin and process.stdout
            with suppress(BrokenPipeError):  # it has ended
                process.stdin.close()  # its input ends, and so does it
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def make_infinity_images(files: Sequence[bytes]) -> list[bytes]:
    """OpenAI's JSON with infinity's modality, one image a request."""
    addresses = [f"data:image/jpeg;base64,{base64.b64encode(file).decode('ascii')}" for file in files]
    return [json.dumps({"model": "clip", "modality": "image", "input": [each]}).encode() for each in addresses]


def make_infinity_texts(texts: Sequence[str]) -> list[bytes]:
    return [json.dumps({"model": "clip", "input": [text]}).encode() for text in texts]


def read_infinity_vector(answer: bytes) -> list[float]:
    row: list[float] = json.loads(answer)["data"][0]["embedding"]
    return row


WEAVIATE_INTERFACE = ServerInterface(VECTORIZE, make_image_bodies, make_text_bodies, read_vector)
INFINITY_INTERFACE = ServerInterface("/embeddings", make_infinity_images, make_infinity_texts, read_infinity_vector)
