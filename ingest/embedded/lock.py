"""Locks between processes. The system drops one when the last process that holds its file ends, however it ends."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOOK_SECONDS = 0.2


class Busy(Exception):
    """Another process holds the lock."""


@contextmanager
def locked(path: Path, wait_seconds: float, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Holds the lock file `path`; the descriptor in hand can be passed to a child, which then holds it too.

    `waiting` is called once if another process has it. Raises Busy after `wait_seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        take(descriptor, time.monotonic() + wait_seconds, waiting)
        yield descriptor
    finally:
        os.close(descriptor)


def take(descriptor: int, deadline: float, waiting: Callable[[], None]) -> None:
    if try_take(descriptor):
        return
    waiting()
    while not try_take(descriptor):
        if time.monotonic() > deadline:
            raise Busy
        time.sleep(LOOK_SECONDS)


def try_take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
