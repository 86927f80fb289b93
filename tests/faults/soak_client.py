"""One client of the soak: sends requests, disconnects in the middle of some, and checks the answers."""

import contextlib
import http.client
import json
import socket
import struct
from collections.abc import Mapping

import numpy as np

from clip_vectorizer.vectors import Vectors
from tests.faults.soak_requests import CLOSE_ENOUGH, Request, rows_of

ANSWER_SECONDS = 60


class Client:
    """A kept connection; `vectors` are those that names must have."""

    def __init__(self, port: int, vectors: Mapping[str, Vectors]) -> None:
        self._port = port
        self._vectors = vectors
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
        self.rows = 0
        self.equal_rows = 0  # to the last bit

    def close(self) -> None:
        self._line.close()

    def problem(self, request: Request) -> str:
        """The problem of the answer; empty if it is right."""
        if request.status == 0:
            return self._hang_up(request)
        try:
            status, content = self._send(request)
        except (OSError, http.client.HTTPException) as error:
            self._line.close()
            return f"no answer: {error!r}"
        if status != request.status:
            return f"{status}, not {request.status}: {content[:200]!r}"
        return self._wrong_vectors(request, content) if status == 200 else wrong_sentence(request, content)

    def _send(self, request: Request) -> tuple[int, bytes]:
        with contextlib.suppress(
            BrokenPipeError, ConnectionResetError
        ):  # refused early: the answer is there to be read
            self._line.request(request.method, request.path, request.body, {"Content-Type": request.content_type})
        answer = self._line.getresponse()
        return answer.status, answer.read()

    def _hang_up(self, request: Request) -> str:
        """Leaves in the middle of the body, or when all is sent, as a killed client does: by a reset."""
        head = f"POST {request.path} HTTP/1.1\r\nHost: sidecar\r\nContent-Length: {len(request.body)}\r\n\r\n"
        whole = len(request.body) % 2
        with socket.create_connection(("127.0.0.1", self._port)) as line:
            line.sendall(head.encode() + (request.body if whole else request.body[: len(request.body) // 2]))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return ""

    def _wrong_vectors(self, request: Request, content: bytes) -> str:
        rows = rows_of(request, content)
        expected = np.stack([self._vectors[name] for name in request.names])
        if rows.shape != expected.shape:
            return f"vectors of shape {rows.shape}, not {expected.shape}"
        self.rows += len(rows)
        self.equal_rows += int((rows == expected).all(axis=1).sum())
        apart = float(np.abs(rows - expected).max())
        return "" if apart <= CLOSE_ENOUGH else f"a vector is {apart:g} from the one computed alone"


def wrong_sentence(request: Request, content: bytes) -> str:
    try:
        sentence = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        return f"no JSON with an error: {content[:200]!r}"
    fine = isinstance(sentence, str) and request.expected_text in sentence
    return "" if fine else f"{request.expected_text!r} is not in {sentence!r}"
