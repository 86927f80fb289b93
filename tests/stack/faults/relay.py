"""The HTTP of the flaky sidecar: what is sent on, answered in its place, or cut off in the middle."""

import contextlib
import http.client
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import urlsplit

PASS, DROP, BUSY = "pass", "drop", "busy"  # what becomes of one request; a number of seconds: it waits that long first
BUSY_ANSWER = b'{"error": "the queue of the test is full; try again later"}'
HOP_HEADERS = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Faults(Protocol):
    upstream: str
    lines: set[socket.socket]  # that are open

    def fate(self, path: str, images: int) -> str | float:
        """What becomes of a request for `images` vectors; may keep it waiting."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], faults: Faults) -> None:
        super().__init__(address, Relay)
        self.faults = faults

    def handle_error(self, request: object, client_address: object) -> None:
        """A line that was cut on purpose is no news."""


class Relay(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.faults.lines.add(self.connection)

    def finish(self) -> None:
        self.server.faults.lines.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self._answer(*self._upstream(b""), PASS)

    def do_POST(self) -> None:
        assert self.headers["Transfer-Encoding"] is None, "the proxy reads no chunks"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fate = self.server.faults.fate(self.path, images_in(self.path, body))
        if fate == BUSY:
            self._answer(503, {"Content-Type": "application/json"}, BUSY_ANSWER, PASS)
            return
        if isinstance(fate, float):
            time.sleep(fate)
        self._answer(*self._upstream(body), fate)

    def _upstream(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """The real answer; when there is none, the line is cut."""
        line = http.client.HTTPConnection(urlsplit(self.server.faults.upstream).netloc, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_HEADERS}
            line.request(self.command, self.path, body or None, headers)
            answer = line.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        except (OSError, http.client.HTTPException):
            hang_up(self.connection)
            raise
        finally:
            line.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes, fate: str | float) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in HOP_HEADERS:
                self.send_header(name, value)
        if status != http.client.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fate == DROP else body)
        if fate == DROP:
            self.wfile.flush()
            hang_up(self.connection)

    def log_message(self, *_: object) -> None:
        pass


def images_in(path: str, body: bytes) -> int:
    """How many images a request holds: parts of a form, or strings of Weaviate's JSON, which sends no others."""
    if "images" in path:
        return body.count(b"Content-Disposition")
    return max(1, body.partition(b'"images"')[2].count(b'"') // 2)


def hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side was faster
        line.shutdown(socket.SHUT_RDWR)
