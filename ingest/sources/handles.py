"""Open files of one archive for many threads."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO


class Handles:
    """One open file a reading thread. They are closed when the last member that may be read has gone."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open = open_file
        self._idle: list[BinaryIO] = []
        weakref.finalize(self, close_all, self._idle)

    @contextmanager
    def one(self) -> Iterator[BinaryIO]:
        """Nobody else's until it is given back. One that raised is not used again."""
        try:
            handle = self._idle.pop()
        except IndexError:
            handle = self._open()
        try:
            yield handle
        except BaseException:
            handle.close()
            raise
        self._idle.append(handle)


def close_all(idle: list[BinaryIO]) -> None:
    while idle:
        idle.pop().close()
