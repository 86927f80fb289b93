"""A second sidecar whose model is another one: the first sidecar's vectors, mirrored and cut to fewer dimensions."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.http_server import running

DIMENSION = 96
REVISION = "0123456789abcdef"


@contextmanager
def other_model(sidecar_url: str, pause_seconds: float = 0.0) -> Iterator[str]:
    """Its address. It answers as a sidecar does, but for the binary route, which it does not have, and takes a pause
    before every answer."""
    sidecar = httpx.Client(base_url=sidecar_url, timeout=60, trust_env=False, verify=False)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            meta = sidecar.get(self.path)
            changed = {"model": "other", "revision": REVISION, "dimension": DIMENSION}
            self._answer(meta.status_code, meta.json() | changed if self.path == "/meta" else {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/vectorize":
                self._answer(404, {"error": "no such path"})
                return
            time.sleep(pause_seconds)
            found = sidecar.post(self.path, content=body, headers=JSON)
            answer = found.json()
            for name in ("imageVectors", "textVectors"):
                answer[name] = [mirrored(vector) for vector in answer.get(name) or ()]
            self._answer(found.status_code, answer)

        def _answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            with suppress(BrokenPipeError, ConnectionResetError):  # a client that was killed
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with sidecar, running(server) as url:
        yield url


JSON = {"Content-Type": "application/json"}


def mirrored(vector: list[float]) -> list[float]:
    return [-number for number in vector[:DIMENSION]]
