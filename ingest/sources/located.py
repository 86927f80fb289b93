"""What a path or an address in a table stands for."""

import os
import posixpath
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from ingest.items import UnusableFile
from ingest.sources.addresses import beside, is_address, public
from ingest.sources.base import settled, stamp_of
from ingest.sources.far import Far
from ingest.sources.reading import open_regular, reading


@dataclass(frozen=True, slots=True)
class Place:
    key: str  # the path or address as it was written, without what is secret
    open: Callable[[], BinaryIO]
    stamp: Callable[[], str]  # raises UnusableFile for what cannot be there
    is_far: bool


def locate(word: str, base: str, far: Far) -> Place:
    """`word` is absolute, or relative to the folder or address `base`. Raises UnusableFile."""
    if "\0" in word:
        raise UnusableFile("its path has a zero byte in it")
    if is_address(word):
        return at_address(public(word), word, far)
    path = posixpath.normpath(word.replace(os.sep, "/"))
    if not is_address(base):
        file = os.path.join(base, path)  # noqa: PTH118 - a Path a row is slow for a million rows
        return Place(path, partial(open_regular, file), partial(stamp_on_disk, file), is_far=False)
    if path.startswith("/"):
        raise UnusableFile(f"{path} is a path on another machine's disk; say where it begins here with --root")
    return at_address(path, beside(base, path), far)


def at_address(key: str, address: str, far: Far) -> Place:
    return Place(key, partial(far.open, address), partial(far.stamp, address), is_far=True)


def stamp_on_disk(file: str) -> str:
    """ "" for a file that may change within its clock's tick. Raises UnusableFile."""
    with reading():
        status = os.stat(file)  # noqa: PTH116
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise UnusableFile("not a regular file")
    return stamp_of(status.st_size, status.st_mtime_ns) if settled(status.st_mtime_ns) else ""
