"""Read a file into memory; errors become the reason of an UnusableFile, worded to follow the file's name."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ingest.choices import MAX_FILE_BYTES
from ingest.items import UnusableFile

MAX_PIXELS = 100_000_000  # 100 megapixels decode to 300 MB
# Opening a pipe without a writer must not block. Windows has neither the flag nor such pipes.
NONBLOCKING = getattr(os, "O_NONBLOCK", 0)
BINARY = getattr(os, "O_BINARY", 0)


def read_whole(open_file: Callable[[], BinaryIO]) -> bytes:
    """Return all bytes of a file, at least 1 and at most MAX_FILE_BYTES. Raises UnusableFile."""
    with read_errors(), open_file() as file:
        check_size(size := read_known_size(file))
        # Not more than the file has: Python allocates the requested size. A remote file is read in one request.
        data = file.read(size + 1 if size else MAX_FILE_BYTES + 1)
        if len(data) > size > 0:  # the file is growing
            data += file.read(MAX_FILE_BYTES + 1 - len(data))
    check_size(len(data))
    if not data:
        raise UnusableFile("empty file (0 bytes)")
    return data


@contextmanager
def read_errors() -> Iterator[None]:
    """Context manager: convert errors of the file system to UnusableFile."""
    try:
        yield
    except IsADirectoryError as error:
        raise UnusableFile("a folder, not a file") from error
    except OSError as error:
        raise UnusableFile(f"cannot be read ({error.strerror or error or type(error).__name__})") from error


def open_regular(file: str | os.PathLike[str]) -> BinaryIO:
    """Open a file on disk for reading. Raises OSError, and UnusableFile for a folder, a pipe or a device."""
    descriptor = os.open(file, os.O_RDONLY | NONBLOCKING | BINARY)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise UnusableFile("a folder, not a file")
        if not stat.S_ISREG(mode):
            raise UnusableFile("not a regular file")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_known_size(file: BinaryIO) -> int:
    """Return the size in bytes if the file has a descriptor; else 0."""
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return 0


def check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise UnusableFile(f"{size / 1e6:.0f} MB; the limit of Weaviate is {MAX_FILE_BYTES / 1e6:.0f} MB per image")
