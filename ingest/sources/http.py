"""Files by HTTP: range requests where the server supports them, one connection pool, errors as readable reasons.

fsspec has a file system for HTTP too. It is asyncio on one thread with another HTTP library, its errors contain whole
URLs with their signatures, and it takes links in a page for files in a folder.
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

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard
from clip_vectorizer.errors import AddressRefused
from clip_vectorizer.guarded_http import GuardedTransport
from ingest.items import UnusableFile
from ingest.retry import RetryPolicy, TransientFailure
from ingest.sources.base import SETTLED_SECONDS, make_stamp
from ingest.sources.ranged import WHOLE_BYTES, RangedFile

TIMEOUT = httpx.Timeout(30.0, connect=10.0, pool=None)  # seconds for each step; threads may queue for a connection
CONNECTION_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=64)
MAX_SECONDS = 300.0  # for a file that arrives slowly
MAX_WHOLE_BYTES = 4_000_000_000  # of a file that cannot be read in parts: it lies on this disk while it is read
MAX_MEMORY_BYTES = 16_000_000  # bytes of a whole download; more goes to a temporary file
TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
STATUS_REASONS = {
    401: "refused (HTTP 401): it requires a user and password, or a key",
    403: "refused (HTTP 403): no access; has the URL expired?",
    404: "not found (HTTP 404)",
    410: "gone (HTTP 410)",
}


class HttpTransport:
    """Opens files at HTTP URLs. Thread-safe."""

    def __init__(
        self,
        retry_policy: RetryPolicy,
        timeout: httpx.Timeout = TIMEOUT,
        max_seconds: float = MAX_SECONDS,
        guard: AddressGuard = PUBLIC_ONLY,
        max_bytes: int = MAX_WHOLE_BYTES,
    ) -> None:
        agent = {"User-Agent": f"clip-ingest/{version('clip-vectorizer')}", "Accept-Encoding": "identity"}
        self._client = httpx.Client(
            headers=agent,
            timeout=timeout,
            follow_redirects=True,
            transport=GuardedTransport(guard, load_certificates(), CONNECTION_LIMITS),
        )
        self.retry_policy, self.max_seconds, self.max_bytes = retry_policy, max_seconds, max_bytes
        weakref.finalize(self, self._client.close)  # sources can be iterated again at any time, so they have no close

    def close(self) -> None:
        self._client.close()

    def open(self, url: str) -> BinaryIO:
        file = HttpFile(self, url)
        return cast(BinaryIO, RangedFile(file.fetch, file.size, file.close))

    def stamp(self, url: str) -> str:
        """Return the file's stamp by one HEAD request; "" if that fails, because reading may still work."""
        try:
            response = self._client.head(url)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, AddressRefused):
            return ""
        return stamp_response(response.headers) if response.is_success else ""

    def content_type(self, url: str) -> str:
        """Return the content type in lower case, without parameters. Raises UnusableFile."""

        def request() -> str:
            with self.open_response(url, {}) as response:
                return str(response.headers.get("Content-Type", "")).partition(";")[0].strip().lower()

        return self.retry_policy.run(request)

    @contextmanager
    def open_response(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        """Context manager: a successful response, its body not read yet. Raises UnusableFile and TransientFailure."""
        try:
            with self._client.stream("GET", url, headers=dict(headers)) as response:
                check_response(response)
                yield response
        except httpx.TimeoutException as error:
            raise TransientFailure(f"timed out ({type(error).__name__})") from None
        except AddressRefused as error:
            raise UnusableFile(str(error)) from None
        except (httpx.UnsupportedProtocol, httpx.TooManyRedirects, httpx.InvalidURL, UnicodeError) as error:
            raise UnusableFile(f"not a URL that can be followed ({type(error).__name__})") from None
        except httpx.TransportError as error:
            raise TransientFailure(f"the connection failed ({format_error(error)})") from None


@cache
def load_certificates() -> ssl.SSLContext:
    """Load the certificates once for all sources: it takes 20 ms."""
    return httpx.create_ssl_context()


class HttpFile:
    """One file at an HTTP URL, in the version of the first response. Not thread-safe."""

    def __init__(self, transport: HttpTransport, url: str) -> None:
        self._transport, self._url = transport, url
        self._version: str | None = None
        self._size: int | None = None
        self._whole: BinaryIO | None = None  # the whole file, from a server without range requests

    def close(self) -> None:
        if self._whole:
            self._whole.close()

    def size(self) -> int:
        """Return the size, from a request for one byte: signed URLs are often valid for GET only."""
        if self._size is None:
            self._transport.retry_policy.run(lambda: self._get(0, 1))
        return self._size or 0

    def fetch(self, start: int, end: int) -> bytes:
        if self._whole is None:
            data = self._transport.retry_policy.run(lambda: self._get(start, end))
            if self._whole is None:
                return data
        self._whole.seek(start)
        return self._whole.read(end - start)

    def _get(self, start: int, end: int) -> bytes:
        """Return bytes `start` to `end`; if the server ignores ranges, the whole file is in `_whole` afterwards."""
        at_once = start == 0 and end >= WHOLE_BYTES  # a request without Range, which every server supports
        headers = {} if at_once else {"Range": f"bytes={start}-{end - 1}"}
        with self._transport.open_response(self._url, headers) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                self._size = self._size or 0
                return b""
            if at_once or response.status_code == httpx.codes.PARTIAL_CONTENT:
                self._check_version(response, at_once)
                return self._body(response, end - start)
            self._download(response)
        return b""

    def _check_version(self, response: httpx.Response, whole: bool) -> None:
        length = response.headers.get("Content-Length" if whole else "Content-Range", "").rpartition("/")[2]
        if length.isdecimal():
            self._size = int(length)
        current = f"{response.headers.get('ETag')} {response.headers.get('Last-Modified')} {length}"
        if not whole and self._version not in (None, current):
            raise UnusableFile("changed while it was being read; run the same command again")
        self._version = current

    def _body(self, response: httpx.Response, most: int) -> bytes:
        parts, size, started = list[bytes](), 0, time.monotonic()
        for part in response.iter_raw():
            parts.append(part)
            size += len(part)
            if size >= most:
                break
            if time.monotonic() - started > self._transport.max_seconds:
                raise UnusableFile(f"too slow: {size} bytes in {self._transport.max_seconds:.0f} s")
        return b"".join(parts)[:most]

    def _download(self, response: httpx.Response) -> None:
        whole = cast(BinaryIO, tempfile.SpooledTemporaryFile(MAX_MEMORY_BYTES))  # noqa: SIM115 - lives as long as the file
        try:
            for part in response.iter_raw():
                whole.write(part)
                self._check_download(whole.tell())
        except BaseException:
            whole.close()
            raise
        self._size = whole.seek(0, io.SEEK_END)
        self._whole = whole

    def _check_download(self, size: int) -> None:
        """Raises UnusableFile for a file without an end."""
        if size > self._transport.max_bytes:
            most = self._transport.max_bytes / 1e9
            raise UnusableFile(f"larger than {most:g} GB, on a server that sends no parts of files; download it first")


def check_response(response: httpx.Response) -> None:
    """Raises UnusableFile or TransientFailure for a response without the file."""
    status = response.status_code
    if response.is_success or status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        return
    if status in TRANSIENT_STATUSES:
        after = response.headers.get("Retry-After", "")
        raise TransientFailure(f"the server returned HTTP {status}", float(after) if after.isdecimal() else 0.0)
    raise UnusableFile(STATUS_REASONS.get(status, f"the server returned HTTP {status}"))


def stamp_response(headers: Mapping[str, str]) -> str:
    """Return a stamp; "" if the headers do not identify a version. A size alone does not."""
    tag, modified, length = (headers.get(name, "") for name in ("ETag", "Last-Modified", "Content-Length"))
    if not tag and not is_long_ago(modified, headers.get("Date", "")):
        return ""
    return make_stamp(tag, modified, length)


def is_long_ago(modified: str, now: str) -> bool:
    """Whether the last change is longer ago than the resolution of HTTP dates, so that the next one will differ."""
    try:
        return (parsedate_to_datetime(now) - parsedate_to_datetime(modified)).total_seconds() > SETTLED_SECONDS
    except (TypeError, ValueError):
        return False


def format_error(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
