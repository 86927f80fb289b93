"""Locks between processes. The system drops one when the last process that holds its file ends, however it ends.

Room on the disk, looked at before a long step rather than found missing after it.
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
def hold_lock(path: Path, wait_seconds: float, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Holds the lock file `path`; the descriptor in hand can be passed to a child, which then holds it too.

    `waiting` is called once if another process has it. Raises Busy after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        acquire(descriptor, time.monotonic() + wait_seconds, waiting)
        yield descriptor
    finally:
        os.close(descriptor)


def acquire(descriptor: int, deadline: float, waiting: Callable[[], None]) -> None:
    if try_acquire(descriptor):
        return
    waiting()
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
    """Raises StackError when the disk of `folder` (made if missing) has less than `gigabytes` free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / GIGABYTE
    if free < gigabytes:
        raise StackError(
            f"{purpose} needs {gigabytes:g} GB in {folder}, and {free:.1f} GB are free; "
            "free some, or set XDG_CACHE_HOME to a folder on a larger disk"
        )
