"""A small web server in a thread, which fails as configured."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.http_server import running


@dataclass
class Page:
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200
    ranges: bool = True
    head: bool = True  # whether it answers HEAD; else 405
    failures: list[int | str] = field(default_factory=list)  # what the next GETs meet: a status, "drop" or "cut"
    slow_seconds: float = 0.0


class Site:
    """`pages` by path; requests are counted by method and path."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.pages: dict[str, Page] = {}
        self.requests: Counter[tuple[str, str]] = Counter()
        self.seen_headers: list[dict[str, str]] = []

    def add(self, path: str, body: bytes, **options: object) -> str:
        """Its address. It has an ETag unless other `headers` are given."""
        options.setdefault("headers", {"ETag": f'"{abs(hash(body))}"'})
        self.pages[path] = Page(body, **options)  # type: ignore[arg-type]
        return self.address + path


@contextmanager
def serving() -> Iterator[Site]:
    server = Server(("127.0.0.1", 0), Handler)
    site = Site(f"http://127.0.0.1:{server.server_address[1]}")
    server.site = site  # type: ignore[attr-defined]
    with running(server):
        yield site


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # with 5, of 16 who connect at once some wait for a second

    def handle_error(self, *_: object) -> None:
        """Callers who hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a head and a body are two writes, and the second would wait for 40 ms

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(lambda page: page.head)

    def do_GET(self) -> None:
        self._answer(lambda _: True)

    def _answer(self, allowed: Callable[[Page], bool]) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        path = urlsplit(self.path).path
        site.requests[self.command, path] += 1
        site.seen_headers.append(dict(self.headers.items()))
        page = site.pages.get(path)
        if page is None:
            self._send(404, b"no such page: " + self.path.encode(), {})
        elif not allowed(page):
            self._send(405, b"", {})
        elif self.command == "GET" and page.failures:
            self._fail(page, page.failures.pop(0))
        else:
            time.sleep(page.slow_seconds)
            self._send(*self._part(page))

    def _part(self, page: Page) -> tuple[int, bytes, dict[str, str]]:
        byte_range = self.headers.get("Range", "")
        if not (byte_range and page.ranges):
            return page.status, page.body, page.headers
        start, _, end = byte_range.removeprefix("bytes=").partition("-")
        body = page.body[int(start) : int(end) + 1]
        if not body:
            return 416, b"", page.headers
        return (
            206,
            body,
            page.headers | {"Content-Range": f"bytes {start}-{int(start) + len(body) - 1}/{len(page.body)}"},
        )

    def _fail(self, page: Page, failure: int | str) -> None:
        self.close_connection = True
        if failure == "cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(page.body)))
            self.end_headers()
            self.wfile.write(page.body[: len(page.body) // 2])
        elif isinstance(failure, int):
            self._send(failure, b"", {"Retry-After": "0"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        self.send_header("Date", formatdate(usegmt=True))
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
