"""Resolve a path or URL in a table or on stdin to a file on disk or at a URL."""

import os
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from clip_vectorizer.public_urls import strip_secrets
from ingest.items import UnusableFile
from ingest.sources.base import is_settled, make_stamp
from ingest.sources.reading import open_regular, read_errors
from ingest.sources.transport import Transport
from ingest.sources.urls import is_url, join_url, parse_scheme

DISK_SCHEMES = ("file", "local")
OTHER_DISK = "{} is a path on another machine's disk; give its base folder here by --root"


@dataclass(frozen=True, slots=True)
class FileLocation:
    key: str  # the path or URL as written, without passwords and signatures
    open: Callable[[], BinaryIO]
    stamp: Callable[[], str]  # raises UnusableFile, for example for a folder
    is_remote: bool


def locate(word: str, base: str, transport: Transport) -> FileLocation:
    """Resolve `word`, which is absolute or relative to the folder or URL `base`. Raises UnusableFile."""
    if "\0" in word:
        raise UnusableFile("its path has a zero byte in it")
    if is_url(word):
        if is_url(base) and parse_scheme(word) in DISK_SCHEMES and parse_scheme(base) not in DISK_SCHEMES:
            raise UnusableFile(OTHER_DISK.format(strip_secrets(word)))
        return locate_url(strip_secrets(word), word, transport)
    path = posixpath.normpath(word.replace(os.sep, "/"))
    if not is_url(base):
        file = os.path.join(base, path)  # noqa: PTH118 - a Path a row is slow for a million rows
        return FileLocation(path, partial(open_regular, file), partial(stamp_file, file), is_remote=False)
    if path.startswith("/"):
        raise UnusableFile(OTHER_DISK.format(path))
    return locate_url(path, join_url(base, path), transport)


def locate_url(key: str, url: str, transport: Transport) -> FileLocation:
    return FileLocation(key, partial(transport.open, url), partial(transport.stamp, url), is_remote=True)


def stamp_file(file: str) -> str:
    """Return "" for a file that may change within the resolution of its clock. Raises UnusableFile."""
    with read_errors():
        status = os.stat(file)  # noqa: PTH116
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile("not a regular file")
    return make_stamp(status.st_size, status.st_mtime_ns) if is_settled(status.st_mtime_ns) else ""
