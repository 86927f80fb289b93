"""Passes accepted connections to worker processes, each to the one with the fewest.

With a shared listening socket it would be chance: clients such as Weaviate keep a few connections for long, and the
worker that happened to accept most of them would limit all.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

MARKER = b"c"  # sent with each socket; returned alone for each that was closed
MAX_REPORTS = 4096


class ConnectionSender:
    """The accepting side. `count`: connections that the worker has not closed yet."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel, self.count = channel, 0

    def fileno(self) -> int:
        return self._channel.fileno()

    def send(self, connection: socket.socket) -> bool:
        """Whether the worker could receive it."""
        try:
            socket.send_fds(self._channel, [MARKER], [connection.fileno()])
        except OSError:  # it is gone, or blocked with a full channel
            return False
        self.count += 1
        return True

    def read_closed(self) -> bool:
        """Count the connections that the worker has closed; False at the end of the channel."""
        try:
            reported = len(self._channel.recv(MAX_REPORTS))
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.count -= reported
        return reported > 0

    def close(self) -> None:
        self._channel.close()


class HandoffListener(socket.socket):
    """The worker's side: a listening socket to the server, whose connections another process has accepted."""

    def listen(self, _backlog: int = 0, /) -> None:
        pass

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises BlockingIOError when no connection was sent, ConnectionAbortedError at the end of the channel."""
        data, descriptors, _, _ = socket.recv_fds(self, 1, 1)
        if not data:
            raise ConnectionAbortedError
        if not descriptors:  # this process has reached its limit of open files
            self._report()
            raise ConnectionAbortedError
        connection = CountedSocket(fileno=descriptors[0])
        connection.report = self._report
        return connection, ""

    def _report(self) -> None:
        with contextlib.suppress(OSError):  # the other side is gone, or blocked and not counting
            self.send(MARKER)


class CountedSocket(socket.socket):
    """A connection that reports its end."""

    report: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        report, self.report = self.report, None
        if report:
            report()
