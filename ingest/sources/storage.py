"""Files in buckets and other file systems of fsspec: s3://, gs://, az://, sftp://, memory://, ..."""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, NoReturn, TypeVar, cast
from urllib.parse import urlsplit

import fsspec
from fsspec.core import url_to_fs

from clip_vectorizer.address_guard import ALL, PUBLIC_ONLY, AddressGuard
from clip_vectorizer.errors import InputError, SettingsError
from clip_vectorizer.public_urls import strip_secrets
from ingest.items import UnusableFile, add_time_zone
from ingest.retry import RetryPolicy, TransientFailure
from ingest.sources.base import is_settled, make_stamp
from ingest.sources.ranged import RangedFile
from ingest.sources.urls import parse_scheme

EXTRA_BY_SCHEME = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
PERMANENT_ERRORS = (NotADirectoryError, NotImplementedError, ImportError, ValueError, TypeError)
URL_IN_TEXT = re.compile(r"\w+://[^\s'\"<>)]+")
MAX_REASON_LENGTH = 300
# The best known of those that fsspec has.
KNOWN_SCHEMES = ("http", "https", "s3", "gs", "az", "abfs", "sftp", "ftp", "hf", "memory", "file")
# Schemes of this machine, and of stores whose server is in the settings. All others name a server in the address, or
# another address, which fsspec opens without our check; so their hosts must be allowed.
STORE_SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "hf", "memory", "file", "local")
# Fields that identify a version of a file, by the names that file systems use.
VERSION_FIELDS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "crc32c")
TIME_FIELDS = ("mtime", "LastModified", "last_modified", "updated", "modified", "time", "created")
SECRET_NAME = re.compile(r"key|secret|token|pass|credential|sig|connection", re.IGNORECASE)

ResultT = TypeVar("ResultT")

FileInfo = Mapping[str, Any]


class StorageTransport:
    """Opens files of fsspec's file systems. Thread-safe: a file system that is not is used by one thread at a time."""

    def __init__(
        self, options: Mapping[str, str], retry_policy: RetryPolicy, guard: AddressGuard = PUBLIC_ONLY
    ) -> None:
        self._options = {name: parse_storage_value(name, value) for name, value in options.items()}
        self._secrets = [value for name, value in options.items() if SECRET_NAME.search(name) and len(value) > 3]
        self._retry_policy, self._guard, self._lock = retry_policy, guard, threading.RLock()

    def open(self, url: str, info: FileInfo | None = None) -> BinaryIO:
        def size() -> int:
            return int((info or self.info(url)).get("size") or 0)

        return cast(BinaryIO, RangedFile(partial(self._fetch, url, size), size))

    def stamp(self, url: str) -> str:
        return self.find_stamp(url) or ""

    def find_stamp(self, url: str) -> str | None:
        """Return the file's stamp; None if it is missing or inaccessible, in which case reading raises the error."""
        try:
            return stamp_file_info(self.info(url))
        except (UnusableFile, InputError, SettingsError):
            return None

    def info(self, url: str) -> FileInfo:
        """Return the current file info, past any cache. Raises UnusableFile, InputError and SettingsError."""

        def info(system: Any, path: str) -> FileInfo:
            system.invalidate_cache(system._parent(path))
            return cast(FileInfo, system.info(path))

        return self._call(url, info)

    def find(self, url: str) -> tuple[str, dict[str, FileInfo]]:
        """Return the folder's path in the file system, and all files below it by their paths."""

        def find(system: Any, path: str) -> tuple[str, dict[str, FileInfo]]:
            system.invalidate_cache()
            return path, system.find(path, detail=True)

        return self._call(url, find)

    def _fetch(self, url: str, size: Callable[[], int], start: int, end: int) -> bytes:
        def fetch(system: Any, path: str) -> bytes:
            if start == 0 and end >= whole:  # the whole file, even if it has grown
                return cast(bytes, system.cat_file(path))
            return cast(bytes, system.cat_file(path, start=start, end=min(end, whole)))

        whole = size()
        return self._call(url, fetch) if start < whole else b""

    def _call(self, url: str, work: Callable[[Any, str], ResultT]) -> ResultT:
        def once() -> ResultT:
            system, path = self.system(url)
            with self._serialized(system), self._readable_errors():
                return work(system, path)

        return self._retry_policy.run(once)

    def system(self, url: str) -> tuple[Any, str]:
        """Return the file system of a URL and the path in it. Raises SettingsError, InputError and UnusableFile."""
        check_server(url, self._guard)
        try:
            return cast(tuple[Any, str], url_to_fs(url, **self._options))
        except ImportError as error:
            raise SettingsError(f"{strip_secrets(url)}: {format_missing_package(url, error)}") from error
        except (ValueError, TypeError) as error:
            hint = f"; known schemes are {', '.join(KNOWN_SCHEMES)}" if is_unknown_scheme(url) else ""
            raise InputError(f"{strip_secrets(url)}: {self._format_error(error)}{hint}") from None
        except Exception as error:
            raise InputError(
                f"{strip_secrets(url)}: cannot be reached ({self._format_error(error)}); see --storage"
            ) from None

    @contextmanager
    def _serialized(self, system: Any) -> Iterator[None]:
        if getattr(system, "async_impl", False) or system.protocol == "memory":
            yield
        else:
            with self._lock:
                yield

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._raise_readable(error)

    def _raise_readable(self, error: Exception) -> NoReturn:
        match error:
            case FileNotFoundError():
                raise UnusableFile("not found: no such bucket, folder or file") from None
            case PermissionError():
                raise UnusableFile(f"access refused ({self._format_error(error)}); see --storage") from None
            case IsADirectoryError():
                raise UnusableFile("a folder, not a file") from None
            case _ if isinstance(error, PERMANENT_ERRORS) or "Credential" in type(error).__name__:
                raise UnusableFile(f"cannot be read ({self._format_error(error)}); see --storage") from None
        raise TransientFailure(f"cannot be read ({self._format_error(error)})") from None

    def _format_error(self, error: Exception) -> str:
        """Return the message of `error` on one line, without secrets."""
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return URL_IN_TEXT.sub(lambda found: strip_secrets(found[0]), text)[:MAX_REASON_LENGTH].rstrip(" .")


def check_server(url: str, guard: AddressGuard) -> None:
    """Raises UnusableFile for a server that is not allowed, and for `::`, by which fsspec opens an address in it."""
    if "::" in url:
        raise UnusableFile("has `::` in it, by which addresses are chained, and chains are not read")
    host = urlsplit(url).netloc.rpartition("@")[2].partition(":")[0]
    if parse_scheme(url) in STORE_SCHEMES or is_unknown_scheme(url) or guard.allows_host(host):
        return
    raise UnusableFile(
        f"{parse_scheme(url)}:// names a server that would be opened without a check of its address; "
        f"if you trust it, add --allow-address {host or ALL}"
    )


def is_unknown_scheme(url: str) -> bool:
    return parse_scheme(url) not in fsspec.available_protocols()


def format_missing_package(url: str, error: ImportError) -> str:
    scheme = parse_scheme(url)
    if scheme in EXTRA_BY_SCHEME:
        return f"needs a package that is not installed; `pip install clip-vectorizer[{EXTRA_BY_SCHEME[scheme]}]`"
    return f"needs a package that is not installed ({error})"


def stamp_file_info(info: FileInfo) -> str:
    """Return a stamp from a file system's info; "" if that does not identify a version."""
    size, marks = info.get("size"), [info[name] for name in VERSION_FIELDS if info.get(name)]
    if marks:
        return make_stamp(size, *marks)
    time = next((parse_nanoseconds(info[name]) for name in TIME_FIELDS if info.get(name)), None)
    return make_stamp(size, time) if time is not None and is_settled(time) else ""


def parse_nanoseconds(time: object) -> int | None:
    if isinstance(time, str):
        try:
            time = datetime.fromisoformat(time)
        except ValueError:
            return None
    if isinstance(time, datetime):
        time = add_time_zone(time).timestamp()
    return int(time * 1e9) if isinstance(time, int | float) else None


def parse_storage_value(name: str, value: str) -> object:
    """Parse the value of `--storage NAME=VALUE`: true, false, numbers, JSON objects and lists; else text."""
    number = value.isdecimal() and not SECRET_NAME.search(name)
    if number or value in ("true", "false") or value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
