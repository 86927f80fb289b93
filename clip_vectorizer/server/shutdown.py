"""The end of a sidecar: after the requests in flight, at the second signal immediately, and always."""

import asyncio
import os
import signal
import socket
import threading
from types import FrameType

import uvicorn

from clip_vectorizer.server.http_protocol import HttpConnection

FAILURE_DRAIN_SECONDS = 3  # for connections when there is no model any more: time to read the error
# After SIGTERM requests are served for so long, each response with `Connection: close`. A client whose connection is
# closed without one may send its next request at that moment, and lose it: Weaviate does not repeat a POST.
LEAVE_SECONDS = 1.0
EXIT_GRACE_SECONDS = 5.0  # after the drain; what still runs then hangs


class Shutdown:
    """Stops the server for other reasons than a signal: the model could not be loaded, or its worker died."""

    server: uvicorn.Server

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def stop(self, error: BaseException) -> None:
        """Stop after the requests in flight. May be called from any thread; the first error counts."""
        self.error = self.error or error
        self.server.should_exit = True

    def fail(self, error: BaseException) -> None:
        """As `stop`, for a model that can run no more: its thread may hang, so requests get little time."""
        if self.error is None:
            self.server.config.timeout_graceful_shutdown = FAILURE_DRAIN_SECONDS
            exit_after(FAILURE_DRAIN_SECONDS + EXIT_GRACE_SECONDS, 1, f"error: {error}")
        self.stop(error)


class GracefulServer(uvicorn.Server):
    """uvicorn's. The first signal lets requests in flight finish within their deadline, the second ends immediately.

    After SIGTERM, which means that another one takes over, clients with open connections leave them first.
    """

    leave_seconds = 0.0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        self.leave_seconds = LEAVE_SECONDS if sig == signal.SIGTERM else 0.0
        drain = self.leave_seconds + (self.config.timeout_graceful_shutdown or 0)
        exit_after(drain + EXIT_GRACE_SECONDS, 0 if sig == signal.SIGTERM else 128 + sig, "")
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let clients leave, then close idle connections and finish what is in flight."""
        connections = [each for each in self.server_state.connections if isinstance(each, HttpConnection)]
        if self.leave_seconds and connections:
            type(connections[0]).let_clients_leave()
            for connection in connections:
                connection.leave()
            await asyncio.sleep(self.leave_seconds)
        await super().shutdown(sockets)


def exit_after(seconds: float, code: int, message: str) -> None:
    """End the process with `code` even if a thread hangs, for example in a device's driver."""

    def end() -> None:
        if message:
            os.write(2, f"{message}\n".encode(errors="replace"))
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def run_until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve. SIGTERM ends with exit code 0, although uvicorn raises the signal again when it has stopped."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        signal.signal(signal.SIGTERM, previous)
