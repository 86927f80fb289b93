"""A server that answers as the Hugging Face hub and its storage do, with faults on request.

Large files (weights) are redirected from the hub at 127.0.0.1 to a storage at localhost, another host to a client: a
login must not reach it. Small files come from the hub itself, with git's hash as their tag.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import PurePosixPath
from typing import Any

LARGE = (".safetensors", ".bin", ".pt", ".pth")
RESOLVED = re.compile(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)")
COMMIT = "c0ffee" * 6 + "c0de"
STORAGE = "/storage/"
TOKEN = "hf_reader"


@dataclass(frozen=True, slots=True)
class SeenRequest:
    method: str
    path: str
    range: str
    login: str
    host: str


@dataclass(slots=True)
class FakeHub:
    """`files` by repository and name. Each fault is taken once: the next answer of the storage has it."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    cuts: list[int] = field(default_factory=list)  # bytes after which the storage closes the connection
    stalls: list[int] = field(default_factory=list)  # bytes after which it sends nothing more
    statuses: list[int] = field(default_factory=list)  # answered instead of a content
    ranges: bool = True
    changed: bool = False  # whether the storage sends another content than was published
    requests: list[SeenRequest] = field(default_factory=list)
    url: str = ""

    def add(self, repository: str, name: str, content: bytes) -> None:
        self.files.setdefault(repository, {})[name] = content

    def fetched(self) -> list[SeenRequest]:
        """The requests for content in the storage."""
        return [each for each in self.requests if each.method == "GET" and each.path.startswith(STORAGE)]


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    handler = type("HubRequest", (HubRequestHandler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


class HubRequestHandler(BaseHTTPRequestHandler):
    hub: FakeHub

    def log_message(self, format: str, *arguments: Any) -> None: ...

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        headers = {name: self.headers.get(name, "") for name in ("Range", "Authorization", "Host")}
        self.hub.requests.append(SeenRequest(self.command, self.path, *headers.values()))
        if self.path.startswith(STORAGE):
            self.answer_storage(self.path.removeprefix(STORAGE))
        elif found := RESOLVED.fullmatch(self.path):
            self.answer_hub(found[1], found[2])
        else:
            self.send(404, {"X-Error-Code": "RepoNotFound"})

    def answer_hub(self, repository: str, name: str) -> None:
        if repository not in self.hub.files:
            self.send(401, {"X-Error-Code": "RepoNotFound"})  # it does not tell what is private
        elif repository in self.hub.gated and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.send(401, {"X-Error-Code": "GatedRepo"})
        elif name not in self.hub.files[repository]:
            self.send(404, {"X-Error-Code": "EntryNotFound"})
        else:
            self.answer_file(name, self.hub.files[repository][name])

    def answer_file(self, name: str, content: bytes) -> None:
        if not name.endswith(LARGE):
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self.send(200, {"ETag": f'"{git}"', "X-Repo-Commit": COMMIT}, content)
            return
        sha256 = hashlib.sha256(content).hexdigest()
        storage = self.hub.url.replace("127.0.0.1", "localhost")
        self.send(
            302,
            {
                "Location": f"{storage}{STORAGE}{sha256}?signature=secret",
                "X-Repo-Commit": COMMIT,
                "X-Linked-Etag": f'"{sha256}"',
                "X-Linked-Size": str(len(content)),
            },
        )

    def answer_storage(self, path: str) -> None:
        if self.hub.statuses:
            self.send(self.hub.statuses.pop(0), {})
            return
        content = self.find_content(PurePosixPath(path.partition("?")[0]))
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if not self.hub.ranges or "Range" not in self.headers:
            self.send(200, {}, content)
        elif start >= len(content):
            self.send(416, {"Content-Range": f"bytes */{len(content)}"})
        else:
            self.send(206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}, content[start:])

    def find_content(self, path: PurePosixPath) -> bytes:
        """By its hash, which is a part of the path."""
        contents = [content for files in self.hub.files.values() for content in files.values()]
        content = next(each for each in contents if hashlib.sha256(each).hexdigest() in path.parts)
        return content[:-1] + bytes([content[-1] ^ 1]) if self.hub.changed else content

    def send(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.close_connection = True
        if self.command == "GET" and self.path.startswith(STORAGE) and self.hub.stalls:
            self.stall(content[: self.hub.stalls.pop(0)])
        elif self.command == "GET":
            cut = self.hub.cuts.pop(0) if self.hub.cuts and self.path.startswith(STORAGE) else len(content)
            self.wfile.write(content[:cut])

    def stall(self, content: bytes) -> None:
        """Send `content`, then nothing until the client is gone."""
        self.wfile.write(content)
        self.wfile.flush()
        with suppress(ConnectionError):
            self.connection.recv(1)
