"""Lock files, and a check of free disk space before a long step.

The operating system releases a lock when the last process that has the file open ends, even if it is killed.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clip_vectorizer.errors import StackError

POLL_SECONDS = 0.2
GIGABYTE = 1e9


class LockHeld(Exception):
    """Another process holds the lock."""


@contextmanager
def hold_lock(path: Path, wait_seconds: float, on_wait: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Context manager: hold the lock file `path`. Yields its descriptor; a child that inherits it holds the lock too.

    `on_wait` is called once if another process holds the lock. Raises LockHeld after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        acquire(descriptor, time.monotonic() + wait_seconds, on_wait)
        yield descriptor
    finally:
        os.close(descriptor)


def acquire(descriptor: int, deadline: float, on_wait: Callable[[], None]) -> None:
    if try_acquire(descriptor):
        return
    on_wait()
    while not try_acquire(descriptor):
        if time.monotonic() > deadline:
            raise LockHeld
        time.sleep(POLL_SECONDS)


def try_acquire(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def check_disk_space(folder: Path, gigabytes: float, purpose: str) -> None:
    """Create `folder` if it is missing. Raises StackError when its disk has less than `gigabytes` free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < gigabytes:
        raise StackError(
            f"{purpose} needs {gigabytes:g} GB in {folder}, and {free:.1f} GB are free; "
            "free some, or set XDG_CACHE_HOME to a folder on a larger disk"
        )
