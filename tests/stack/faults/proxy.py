"""A sidecar that misbehaves: an HTTP proxy in this process before the real one, whose faults a test plays.

Only work (POST) is disturbed, as by a sidecar that has too much of it; a closed port disturbs everything.
"""

import socket
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Self

from tests.stack.faults.relay import BUSY, PASS, Server, hang_up

HOLD_LOOK_SECONDS = 0.02


class FlakySidecar:
    """A context manager. `upstream` is the real sidecar; `url` stays the same while the port is closed and opened."""

    def __init__(self) -> None:
        self.upstream = ""
        self._port = 0
        self._turn = threading.Lock()  # the pace is kept by one request at a time
        self.lines: set[socket.socket] = set()
        self._room: dict[str, int] = {}  # by path: how many more images pass before the others are held
        self._waiting: set[str] = set()
        self.behave_settings()
        self.open()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def behave_settings(self) -> None:
        self.pace_seconds = 0.0  # an image: makes a run long enough to disturb it
        self.busy_until = 0.0  # monotonic: all work is refused before
        self.script: deque[str | float] = deque()
        self.images = 0  # that were sent on
        self.refused = 0  # requests that a fault was played to

    def behave(self) -> None:
        self.behave_settings()
        self.release()
        self.open()

    def play(self, faults: Iterable[str | float]) -> None:
        """The fates of the next requests; those after them pass."""
        self.script.extend(faults)

    def busy_for(self, seconds: float) -> None:
        self.busy_until = time.monotonic() + seconds

    def hold(self, path: str, images: int) -> None:
        """After so many images, work sent to `path` waits until `release`: its sender is then in the middle."""
        self._room[path] = images

    def holds(self, path: str) -> bool:
        """Whether a request waits for `release`."""
        return path in self._waiting

    def release(self) -> None:
        self._room.clear()
        self._waiting.clear()

    def open(self) -> None:
        if getattr(self, "_server", None) is None:
            self._server: Server | None = Server(("127.0.0.1", self._port), self)
            self._port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Close the socket and all open connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for line in list(self.lines):
            hang_up(line)

    def fate(self, path: str, images: int) -> str | float:
        """The result of a request, when its turn has come."""
        with self._turn:
            time.sleep(self.pace_seconds * images)
            full = self._room.get(path, images) <= 0
            if path in self._room:
                self._room[path] -= images
        if full:
            self._waiting.add(path)
        while full and path in self._room:
            time.sleep(HOLD_LOOK_SECONDS)
        fate = self.script.popleft() if self.script else PASS
        if time.monotonic() < self.busy_until:
            fate = BUSY
        if fate == PASS:
            self.images += images
        else:
            self.refused += 1
        return fate

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
