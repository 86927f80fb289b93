"""Files by HTTP: ranges where the server has them, one pool of connections, reasons in words.

fsspec has a file system for HTTP too. It is asyncio on one thread with another HTTP library, its errors carry whole
addresses with their signatures, and it takes links in a page for files in a folder.

What the answers of web servers mean.
"""

import io
import ssl
import tempfile
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from typing import BinaryIO, cast

import httpx

from ingest.items import UnusableFile
from ingest.retry import RetryPolicy, TransientFailure
from ingest.sources.base import SETTLED_SECONDS, make_stamp
from ingest.sources.ranged import WHOLE_BYTES, RangedFile

TIMEOUT = httpx.Timeout(30.0, connect=10.0, pool=None)  # seconds for each step; threads may queue for a connection
CONNECTION_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=64)
MAX_SECONDS = 300.0  # for a file that trickles in
MAX_MEMORY_BYTES = 16_000_000  # bytes of a whole download; more goes to a temporary file
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
STATUS_REASONS = {
    401: "refused (HTTP 401): it asks for a user and password, or a key",
    403: "refused (HTTP 403): no access; has the address expired?",
    404: "not found (HTTP 404)",
    410: "gone (HTTP 410)",
}


@cache
def load_certificates() -> ssl.SSLContext:
    """Read once for all sources: it takes 20 ms."""
    return httpx.create_ssl_context()


class HttpTransport:
    """May be used by many threads at once."""

    def __init__(self, patience: RetryPolicy, timeout: httpx.Timeout = TIMEOUT, longest: float = MAX_SECONDS) -> None:
        agent = {"User-Agent": f"clip-ingest/{version('clip-vectorizer')}", "Accept-Encoding": "identity"}
        self._client = httpx.Client(
            headers=agent, timeout=timeout, limits=CONNECTION_LIMITS, follow_redirects=True, verify=load_certificates()
        )
        self.patience, self.longest = patience, longest
        weakref.finalize(self, self._client.close)  # sources are iterated over as often as one likes: they have no end

    def close(self) -> None:
        self._client.close()

    def open(self, address: str) -> BinaryIO:
        file = HttpFile(self, address)
        return cast(BinaryIO, RangedFile(file.fetch, file.size, file.close))

    def stamp(self, address: str) -> str:
        """By one HEAD request. A server that does not answer it is no failure yet: reading will tell."""
        try:
            answer = self._client.head(address)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            return ""
        return stamp_response(answer.headers) if answer.is_success else ""

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
                check_response(answer)
                yield answer
        except httpx.TimeoutException as error:
            raise TransientFailure(f"timed out ({type(error).__name__})") from None
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, UnicodeError) as error:
            raise UnusableFile(f"not an address that can be followed ({type(error).__name__})") from None
        except httpx.TransportError as error:
            raise TransientFailure(f"the connection failed ({format_error(error)})") from None


class HttpFile:
    """One file of the web, of the version that the first answer had. Not for several threads at once."""

    def __init__(self, web: HttpTransport, address: str) -> None:
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
        whole = cast(BinaryIO, tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES))  # noqa: SIM115 - lives as long as the file
        for part in answer.iter_raw():
            whole.write(part)
        self._size = whole.seek(0, io.SEEK_END)
        self._whole = whole


def check_response(answer: httpx.Response) -> None:
    """Raises UnusableFile and Passing for an answer without what was asked for."""
    status = answer.status_code
    if answer.is_success or status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return
    if status in TRANSIENT_STATUSES:
        after = answer.headers.get("Retry-After", "")
        raise TransientFailure(f"the server answers HTTP {status}", float(after) if after.isdecimal() else 0.0)
    raise UnusableFile(STATUS_REASONS.get(status, f"the server answers HTTP {status}"))


def stamp_response(headers: Mapping[str, str]) -> str:
    """A stamp; "" where the headers do not tell versions apart. A size alone does not."""
    tag, modified, length = (headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length"))
    if not tag and not is_long_ago(modified, headers.get("Date", "")):
        return ""
    return make_stamp(tag, modified, length)


def is_long_ago(modified: str, now: str) -> bool:
    """Whether the second of the last change is over for good."""
    try:
        return (parsedate_to_datetime(now) - parsedate_to_datetime(modified)).total_seconds() > SETTLED_SECONDS
    except (TypeError, ValueError):
        return False


def format_error(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
