"""Buckets and whatever else fsspec opens: s3://, gs://, az://, sftp://, memory://, ..."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, NoReturn, TypeVar, cast

import fsspec
from fsspec.core import url_to_fs

from clip_vectorizer.errors import InputError, SettingsError
from ingest.items import UnusableFile
from ingest.sources.addresses import public, scheme_of
from ingest.sources.ranged import RangedFile
from ingest.sources.retries import Passing, Patience
from ingest.sources.storage_words import SECRET, Info, meaning, stamp_of_info

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
LASTING = (NotADirectoryError, NotImplementedError, ImportError, ValueError, TypeError)
ADDRESS = re.compile(r"\w+://[^\s'\"<>)]+")
REASON_LENGTH = 300
KNOWN = ("http", "https", "s3", "gs", "az", "abfs", "sftp", "ftp", "hf", "memory", "file")  # of many more

Result = TypeVar("Result")


class Storage:
    """May be used by many threads at once: file systems that may not are used by one at a time."""

    def __init__(self, options: Mapping[str, str], patience: Patience) -> None:
        self._options = {name: meaning(name, value) for name, value in options.items()}
        self._secrets = [value for name, value in options.items() if SECRET.search(name) and len(value) > 3]
        self._patience, self._lock = patience, threading.RLock()

    def open(self, address: str, info: Info | None = None) -> BinaryIO:
        def size() -> int:
            return int((info or self.info(address)).get("size") or 0)

        return cast(BinaryIO, RangedFile(partial(self._fetch, address, size), size))

    def stamp(self, address: str) -> str:
        return self.stamp_of_known(address) or ""

    def stamp_of_known(self, address: str) -> str | None:
        """None for what is not there, or cannot be looked at: reading will tell."""
        try:
            return stamp_of_info(self.info(address))
        except (UnusableFile, InputError, SettingsError):
            return None

    def info(self, address: str) -> Info:
        """As it is now. Raises UnusableFile, InputError and SettingsError."""

        def info(system: Any, path: str) -> Info:
            system.invalidate_cache(system._parent(path))
            return cast(Info, system.info(path))

        return self._ask(address, info)

    def find(self, address: str) -> tuple[str, dict[str, Info]]:
        """The folder's own path, and all files below it by theirs."""

        def find(system: Any, path: str) -> tuple[str, dict[str, Info]]:
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

    def _ask(self, address: str, work: Callable[[Any, str], Result]) -> Result:
        def once() -> Result:
            system, path = self.system(address)
            with self._alone(system), self._reasons():
                return work(system, path)

        return self._patience.over(once)

    def system(self, address: str) -> tuple[Any, str]:
        """The file system, and the path in it. Raises SettingsError and InputError."""
        try:
            return cast(tuple[Any, str], url_to_fs(address, **self._options))
        except ImportError as error:
            raise SettingsError(f"{public(address)}: {to_install(address, error)}") from error
        except (ValueError, TypeError) as error:
            reason = f"{self._told(error)}; known are {', '.join(KNOWN)}" if unknown(address) else self._told(error)
            raise InputError(f"{public(address)}: {reason}") from None
        except Exception as error:
            raise InputError(f"{public(address)}: cannot be reached ({self._told(error)}); see --storage") from None

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
            case _ if isinstance(error, LASTING) or "Credential" in type(error).__name__:
                raise UnusableFile(f"cannot be read ({self._told(error)}); see --storage") from None
        raise Passing(f"cannot be read ({self._told(error)})") from None

    def _told(self, error: Exception) -> str:
        """What `error` says in one line, without what is secret."""
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return ADDRESS.sub(lambda found: public(found[0]), text)[:REASON_LENGTH].rstrip(" .")


def unknown(address: str) -> bool:
    return scheme_of(address) not in fsspec.available_protocols()


def to_install(address: str, error: ImportError) -> str:
    scheme = scheme_of(address)
    if scheme in EXTRAS:
        return f"needs a package that is not installed; `pip install clip-vectorizer[{EXTRAS[scheme]}]`"
    return f"needs a package that is not installed ({error})"
