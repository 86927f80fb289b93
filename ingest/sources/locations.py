"""What a path or an address in a table stands for."""

import os
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from ingest.items import UnusableFile
from ingest.sources.base import is_settled, make_stamp
from ingest.sources.reading import open_regular, read_errors
from ingest.sources.transport import Transport
from ingest.sources.urls import is_url, join_url, strip_secrets


@dataclass(frozen=True, slots=True)
class FileLocation:
    key: str  # the path or address as it was written, without what is secret
    open: Callable[[], BinaryIO]
    stamp: Callable[[], str]  # raises UnusableFile for what cannot be there
    is_far: bool


def locate(word: str, base: str, far: Transport) -> FileLocation:
    """`word` is absolute, or relative to the folder or address `base`. Raises UnusableFile."""
    if "\0" in word:
        raise UnusableFile("its path has a zero byte in it")
    if is_url(word):
        return locate_url(strip_secrets(word), word, far)
    path = posixpath.normpath(word.replace(os.sep, "/"))
    if not is_url(base):
        file = os.path.join(base, path)  # noqa: PTH118 - a Path a row is slow for a million rows
        return FileLocation(path, partial(open_regular, file), partial(stamp_file, file), is_far=False)
    if path.startswith("/"):
        raise UnusableFile(f"{path} is a path on another machine's disk; say where it begins here with --root")
    return locate_url(path, join_url(base, path), far)


def locate_url(key: str, address: str, far: Transport) -> FileLocation:
    return FileLocation(key, partial(far.open, address), partial(far.stamp, address), is_far=True)


def stamp_file(file: str) -> str:
    """ "" for a file that may change within its clock's tick. Raises UnusableFile."""
    with read_errors():
        status = os.stat(file)  # noqa: PTH116
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile("not a regular file")
    return make_stamp(status.st_size, status.st_mtime_ns) if is_settled(status.st_mtime_ns) else ""
