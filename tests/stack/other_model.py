"""A second sidecar whose model is another one: the first sidecar's vectors, mirrored and cut to fewer dimensions."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

DIMENSION = 96
REVISION = "0123456789abcdef"


@contextmanager
def other_model(sidecar_url: str) -> Iterator[str]:
    """Its address. It answers as a sidecar does, but for the binary route, which it does not have."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            meta = httpx.get(f"{sidecar_url}{self.path}", trust_env=False)
            changed = {"model": "other", "revision": REVISION, "dimension": DIMENSION}
            self._answer(meta.status_code, meta.json() | changed if self.path == "/meta" else {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path != "/vectorize":
                self._answer(404, {"error": "no such path"})
                return
            found = httpx.post(f"{sidecar_url}{self.path}", content=body, headers=JSON, timeout=60, trust_env=False)
            answer = found.json()
            for name in ("imageVectors", "textVectors"):
                answer[name] = [mirrored(vector) for vector in answer.get(name) or ()]
            self._answer(found.status_code, answer)

        def _answer(self, status: int, body: object) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


JSON = {"Content-Type": "application/json"}


def mirrored(vector: list[float]) -> list[float]:
    return [-number for number in vector[:DIMENSION]]
