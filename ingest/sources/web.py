"""Files by HTTP: ranges where the server has them, one pool of connections, reasons in words.

fsspec has a file system for HTTP too. It is asyncio on one thread with another HTTP library, its errors carry whole
addresses with their signatures, and it takes links in a page for files in a folder.
"""

import io
import ssl
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from typing import BinaryIO, cast

import httpx

from ingest.items import UnusableFile
from ingest.sources.ranged import WHOLE_BYTES, RangedFile
from ingest.sources.retries import Passing, Patience
from ingest.sources.web_answers import refuse, said, version_of

TIMEOUT = httpx.Timeout(30.0, connect=10.0, pool=None)  # seconds for each step; threads may queue for a connection
CONNECTIONS = httpx.Limits(max_connections=64, max_keepalive_connections=64)
LONGEST_SECONDS = 300.0  # for a file that trickles in
IN_MEMORY = 16_000_000  # bytes of a whole download; more goes to a temporary file


@cache
def certificates() -> ssl.SSLContext:
    """Read once for all sources: it takes 20 ms."""
    return httpx.create_ssl_context()


class Web:
    """May be used by many threads at once."""

    def __init__(self, patience: Patience, timeout: httpx.Timeout = TIMEOUT, longest: float = LONGEST_SECONDS) -> None:
        agent = {"User-Agent": f"clip-ingest/{version('clip-vectorizer')}", "Accept-Encoding": "identity"}
        self._client = httpx.Client(
            headers=agent, timeout=timeout, limits=CONNECTIONS, follow_redirects=True, verify=certificates()
        )
        self.patience, self.longest = patience, longest
        weakref.finalize(self, self._client.close)  # sources are iterated over as often as one likes: they have no end

    def close(self) -> None:
        self._client.close()

    def open(self, address: str) -> BinaryIO:
        file = WebFile(self, address)
        return cast(BinaryIO, RangedFile(file.fetch, file.size, file.close))

    def stamp(self, address: str) -> str:
        """By one HEAD request. A server that does not answer it is no failure yet: reading will tell."""
        try:
            answer = self._client.head(address)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return ""
        return version_of(answer.headers) if answer.is_success else ""

    def content_type(self, address: str) -> str:
        """In lower case and without parameters. Raises UnusableFile."""

        def ask() -> str:
            with self.answer(address, {}) as answer:
                return str(answer.headers.get("Content-Type", "")).partition(";")[0].strip().lower()

        return self.patience.over(ask)

    @contextmanager
    def answer(self, address: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """The head of an answer that is one; its body is still to be read. Raises UnusableFile and Passing."""
        try:
            with self._client.stream("GET", address, headers=dict(headers)) as answer:
                refuse(answer)
                yield answer
        except httpx.TimeoutException as error:
            raise Passing(f"timed out ({type(error).__name__})") from None
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, UnicodeError) as error:
            raise UnusableFile(f"not an address that can be followed ({type(error).__name__})") from None
        except httpx.TransportError as error:
            raise Passing(f"the connection failed ({said(error)})") from None


class WebFile:
    """One file of the web, of the version that the first answer had. Not for several threads at once."""

    def __init__(self, web: Web, address: str) -> None:
        self._web, self._address = web, address
        self._version: str | None = None
        self._size: int | None = None
        self._whole: BinaryIO | None = None  # of a server without ranges

    def close(self) -> None:
        if self._whole:
            self._whole.close()

    def size(self) -> int:
        """From the answer to the smallest range: signed addresses are often good for GET only."""
        if self._size is None:
            self._web.patience.over(lambda: self._get(0, 1))
        return self._size or 0

    def fetch(self, start: int, end: int) -> bytes:
        if self._whole is None:
            data = self._web.patience.over(lambda: self._get(start, end))
            if self._whole is None:
                return data
        self._whole.seek(start)
        return self._whole.read(end - start)

    def _get(self, start: int, end: int) -> bytes:
        """Bytes `start` to `end`; or all are in `_whole` afterwards."""
        at_once = start == 0 and end >= WHOLE_BYTES  # a plain request, which every server knows
        headers = {} if at_once else {"Range": f"bytes={start}-{end - 1}"}
        with self._web.answer(self._address, headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._size = self._size or 0
                return b""
            if at_once or answer.status_code == httpx.codes.PARTIAL_CONTENT:
                self._keep_to_version(answer, at_once)
                return self._body(answer, end - start)
            self._download(answer)
        return b""

    def _keep_to_version(self, answer: httpx.Response, whole: bool) -> None:
        length = answer.headers.get("Content-Length" if whole else "Content-Range", "").rpartition("/")[2]
        if length.isdecimal():
            self._size = int(length)
        now = f"{answer.headers.get('ETag')} {answer.headers.get('Last-Modified')} {length}"
        if not whole and self._version not in (None, now):
            raise UnusableFile("changed while it was being read; run the same command again")
        self._version = now

    def _body(self, answer: httpx.Response, most: int) -> bytes:
        parts, size, started = list[bytes](), 0, time.monotonic()
        for part in answer.iter_raw():
            parts.append(part)
            size += len(part)
            if size >= most:
                break
            if time.monotonic() - started > self._web.longest:
                raise UnusableFile(f"too slow: {size} bytes in {self._web.longest:.0f} s")
        return b"".join(parts)[:most]

    def _download(self, answer: httpx.Response) -> None:
        whole = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 - lives as long as the file
        for part in answer.iter_raw():
            whole.write(part)
        self._size = whole.seek(0, io.SEEK_END)
        self._whole = whole
