"""Connections are accepted by one process and handed to the front that has fewest.

A shared listening socket would leave it to chance: clients such as Weaviate keep a few connections for long, and the
front that happened to accept most of them would be the limit of all.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

MARKER = b"c"  # a socket travels with a byte; a byte alone comes back for each that was closed
MAX_REPORTS = 4096


class ConnectionSender:
    """The accepting side. `count`: connections that the front has not closed yet."""

    def __init__(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        self._channel, self.count = channel, 0

    def fileno(self) -> int:
        return self._channel.fileno()

    def over(self, connection: socket.socket) -> bool:
        """Whether the front could take it."""
        try:
            socket.send_fds(self._channel, [MARKER], [connection.fileno()])
        except OSError:  # it is gone, or so stuck that its channel is full
            return False
        self.count += 1
        return True

    def closed(self) -> bool:
        """Counts what the front has closed; False at the end of the channel."""
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
    """The front's side: for all that a server can see a listening socket, whose connections were accepted elsewhere."""

    def listen(self, _backlog: int = 0, /) -> None:
        pass

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises BlockingIOError when nothing was handed over, ConnectionAbortedError when nothing will be."""
        data, descriptors, _, _ = socket.recv_fds(self, 1, 1)
        if not data:
            raise ConnectionAbortedError
        if not descriptors:  # this process may not open any more
            self._report()
            raise ConnectionAbortedError
        connection = CountedSocket(fileno=descriptors[0])
        connection.report = self._report
        return connection, ""

    def _report(self) -> None:
        with contextlib.suppress(OSError):  # the other side is gone, or so stuck that it does not count
            self.send(MARKER)


class CountedSocket(socket.socket):
    report: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        report, self.report = self.report, None
        if report:
            report()
