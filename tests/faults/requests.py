"""Requests, good and bad, and the checks of their answers."""

import base64
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np

from clip_vectorizer.vectors import Vectors
from tests.fakes import vectors_of
from tests.faults.processes import Sidecar, eventually

PLENTY = 64  # threads; more than the requests that any test sends at once

_numbers = itertools.count()


def fresh(word: str) -> str:
    """A text that starts with the mark `word` and is in no cache."""
    return f"{word} {next(_numbers)}"


def expected(texts: Sequence[str]) -> Vectors:
    """(N, D): the rows of HashEncoder for texts of up to 16 bytes."""
    return vectors_of([text.encode() for text in texts])


def text_vectors(answer: httpx.Response) -> Vectors:
    """(N, D) float32 of a good answer."""
    assert answer.status_code == 200, answer.text
    return np.array(answer.json()["textVectors"], dtype=np.float32)


def refusal(answer: httpx.Response, *statuses: int) -> str:
    """The sentence of an error answer of one of `statuses`."""
    assert answer.status_code in statuses, f"{answer.status_code}: {answer.text[:300]}"
    return sentence_of(answer)


def sentence_of(answer: httpx.Response) -> str:
    """`error` is a sentence, as Weaviate reads it; below /v1 an object with one, as OpenAI's clients read it."""
    assert answer.headers["content-type"].startswith("application/json")
    error = json.loads(answer.content, parse_constant=no_constant)["error"]
    sentence = error["message"] if answer.request.url.path.startswith("/v1/") else error
    assert isinstance(sentence, str) and sentence, error
    return sentence


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is not JSON")


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


@contextmanager
def together() -> Iterator[Callable[..., Future[Any]]]:
    """Calls that run at the same time: `with together() as start: future = start(function, argument)`."""
    with ThreadPoolExecutor(PLENTY) as pool:
        yield pool.submit


@contextmanager
def held(sidecar: Sidecar, seconds: float) -> Iterator[None]:
    """The device is busy for `seconds` from here on: requests sent meanwhile wait, together."""
    mark = fresh(f"sleep {seconds}")
    with ThreadPoolExecutor(1) as pool:
        holder = pool.submit(sidecar.vectorize, [mark])
        assert eventually(lambda: mark in sidecar.encoded()), "the holding text never reached the encoder"
        yield
        holder.result()


def settle() -> None:
    """Wait until data just sent over loopback has arrived."""
    time.sleep(0.25)


def post(body: bytes, path: str = "/vectorize", headers: str = "") -> bytes:
    """The bytes of a request on the wire."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: sidecar\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{headers}\r\n"
    ).encode() + body


def connection(sidecar: Sidecar, seconds: float = 30.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", sidecar.port), timeout=seconds)


def read_until_closed(line: socket.socket) -> bytes:
    """Read until the other side closes the connection. Raises TimeoutError if it never does."""
    pieces = []
    try:
        while piece := line.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def exchange(sidecar: Sidecar, raw: bytes, seconds: float = 30.0) -> bytes:
    """Send `raw`, end the own side, and return all that the sidecar sends until it closes."""
    with connection(sidecar, seconds) as line:
        try:
            line.sendall(raw)
            line.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed already; its answer is still to be read
        return read_until_closed(line)
