"""The end of a sidecar: after the requests in flight, at the second signal immediately, and always."""

import asyncio
import os
import signal
import socket
import threading
from types import FrameType

import uvicorn

FAILURE_DRAIN_SECONDS = 3  # for connections when there is no model any more: time to read the error
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
    """uvicorn's. The first signal lets requests in flight finish within their deadline, the second ends immediately."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        drain = self.config.timeout_graceful_shutdown or 0
        exit_after(drain + EXIT_GRACE_SECONDS, 0 if sig == signal.SIGTERM else 128 + sig, "")
        super().handle_exit(sig, frame)


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
