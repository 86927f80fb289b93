"""Buckets and whatever else fsspec opens: s3://, gs://, az://, sftp://, memory://, ...

What file systems tell of a file, and what they want to be told.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO, NoReturn, TypeVar, cast

import fsspec
from fsspec.core import url_to_fs

from clip_vectorizer.errors import InputError, SettingsError
from ingest.items import UnusableFile, add_time_zone
from ingest.retry import RetryPolicy, TransientFailure
from ingest.sources.base import is_settled, make_stamp
from ingest.sources.ranged import RangedFile
from ingest.sources.urls import parse_scheme, strip_secrets

EXTRA_BY_SCHEME = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
PERMANENT_ERRORS = (NotADirectoryError, NotImplementedError, ImportError, ValueError, TypeError)
URL_IN_TEXT = re.compile(r"\w+://[^\s'\"<>)]+")
MAX_REASON_LENGTH = 300
KNOWN_SCHEMES = ("http", "https", "s3", "gs", "az", "abfs", "sftp", "ftp", "hf", "memory", "file")  # of many more
# What tells one version of a file from the next, by the names that file systems have for it.
VERSION_FIELDS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "crc32c")
TIME_FIELDS = ("mtime", "LastModified", "last_modified", "updated", "modified", "time", "created")
SECRET_NAME = re.compile(r"key|secret|token|pass|credential|sig|connection", re.IGNORECASE)

ResultT = TypeVar("ResultT")

FileInfo = Mapping[str, Any]


class StorageTransport:
    """May be used by many threads at once: file systems that may not are used by one at a time."""

    def __init__(self, options: Mapping[str, str], patience: RetryPolicy) -> None:
        self._options = {name: parse_storage_value(name, value) for name, value in options.items()}
        self._secrets = [value for name, value in options.items() if SECRET_NAME.search(name) and len(value) > 3]
        self._patience, self._lock = patience, threading.RLock()

    def open(self, address: str, info: FileInfo | None = None) -> BinaryIO:
        def size() -> int:
            return int((info or self.info(address)).get("size") or 0)

        return cast(BinaryIO, RangedFile(partial(self._fetch, address, size), size))

    def stamp(self, address: str) -> str:
        return self.stamp_of_known(address) or ""

    def stamp_of_known(self, address: str) -> str | None:
        """None for what is not there, or cannot be looked at: reading will tell."""
        try:
            return stamp_file_info(self.info(address))
        except (UnusableFile, InputError, SettingsError):
            return None

    def info(self, address: str) -> FileInfo:
        """As it is now. Raises UnusableFile, InputError and SettingsError."""

        def info(system: Any, path: str) -> FileInfo:
            system.invalidate_cache(system._parent(path))
            return cast(FileInfo, system.info(path))

        return self._ask(address, info)

    def find(self, address: str) -> tuple[str, dict[str, FileInfo]]:
        """The folder's own path, and all files below it by theirs."""

        def find(system: Any, path: str) -> tuple[str, dict[str, FileInfo]]:
            system.invalidate_cache()
            return path, system.find(path, detail=True)

        return self._ask(address, find)

    def _fetch(self, address: str, size: Callable[[], int], start: int, end: int) -> bytes:
        def fetch(system: Any, path: str) -> bytes:
            if start == 0 and end >= whole:  # all there is, also where that is more by now
                return cast(bytes, system.cat_file(path))
            return cast(bytes, system.cat_file(path, start=start, end=min(end, whole)))

        whole = size()
        return self._ask(address, fetch) if start < whole else b""

    def _ask(self, address: str, work: Callable[[Any, str], ResultT]) -> ResultT:
        def once() -> ResultT:
            system, path = self.system(address)
            with self._alone(system), self._reasons():
                return work(system, path)

        return self._patience.over(once)

    def system(self, address: str) -> tuple[Any, str]:
        """The file system, and the path in it. Raises SettingsError and InputError."""
        try:
            return cast(tuple[Any, str], url_to_fs(address, **self._options))
        except ImportError as error:
            raise SettingsError(f"{strip_secrets(address)}: {format_missing_package(address, error)}") from error
        except (ValueError, TypeError) as error:
            reason = (
                f"{self._told(error)}; known are {', '.join(KNOWN_SCHEMES)}"
                if is_unknown_scheme(address)
                else self._told(error)
            )
            raise InputError(f"{strip_secrets(address)}: {reason}") from None
        except Exception as error:
            raise InputError(
                f"{strip_secrets(address)}: cannot be reached ({self._told(error)}); see --storage"
            ) from None

    @contextmanager
    def _alone(self, system: Any) -> Iterator[None]:
        if getattr(system, "async_impl", False) or system.protocol == "memory":
            yield
        else:
            with self._lock:
                yield

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._explain(error)

    def _explain(self, error: Exception) -> NoReturn:
        match error:
            case FileNotFoundError():
                raise UnusableFile("not found: no such bucket, folder or file") from None
            case PermissionError():
                raise UnusableFile(f"access refused ({self._told(error)}); see --storage") from None
            case IsADirectoryError():
                raise UnusableFile("a folder, not a file") from None
            case _ if isinstance(error, PERMANENT_ERRORS) or "Credential" in type(error).__name__:
                raise UnusableFile(f"cannot be read ({self._told(error)}); see --storage") from None
        raise TransientFailure(f"cannot be read ({self._told(error)})") from None

    def _told(self, error: Exception) -> str:
        """What `error` says in one line, without what is secret."""
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return URL_IN_TEXT.sub(lambda found: strip_secrets(found[0]), text)[:MAX_REASON_LENGTH].rstrip(" .")


def is_unknown_scheme(address: str) -> bool:
    return parse_scheme(address) not in fsspec.available_protocols()


def format_missing_package(address: str, error: ImportError) -> str:
    scheme = parse_scheme(address)
    if scheme in EXTRA_BY_SCHEME:
        return f"needs a package that is not installed; `pip install clip-vectorizer[{EXTRA_BY_SCHEME[scheme]}]`"
    return f"needs a package that is not installed ({error})"


def stamp_file_info(info: FileInfo) -> str:
    """Of what a file system tells of a file; "" where that does not tell versions apart."""
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
    """`--storage NAME=VALUE` as the file system wants it: true, false, numbers and JSON objects; all else is text."""
    number = value.isdecimal() and not SECRET_NAME.search(name)
    if number or value in ("true", "false") or value.startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
