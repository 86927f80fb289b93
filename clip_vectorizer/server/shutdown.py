"""How a sidecar ends: after the requests in flight, at once when told twice, and never not at all."""

import asyncio
import os
import signal
import socket
import threading
from types import FrameType

import uvicorn

FAILURE_DRAIN_SECONDS = 3  # what connections get when there is no model any more: time to hear so
EXIT_GRACE_SECONDS = 5.0  # after the drain; whatever still runs then hangs


class Shutdown:
    """Why the server ends, where it is not a signal: the model could not be loaded, or its worker died."""

    server: uvicorn.Server

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def because(self, error: BaseException) -> None:
        """May be called from any thread; the first reason counts."""
        self.error = self.error or error
        self.server.should_exit = True

    def at_once(self, error: BaseException) -> None:
        """As `because`, for a model that can answer no more: its thread may hang, and nothing is worth waiting for."""
        if self.error is None:
            self.server.config.timeout_graceful_shutdown = FAILURE_DRAIN_SECONDS
            exit_after(FAILURE_DRAIN_SECONDS + EXIT_GRACE_SECONDS, 1, f"error: {error}")
        self.because(error)


class GracefulServer(uvicorn.Server):
    """uvicorn's. The first signal lets requests in flight finish within their deadline, the second ends at once."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            signal.signal(sig, signal.SIG_DFL)
            signal.raise_signal(sig)
        drain = self.config.timeout_graceful_shutdown or 0
        exit_after(drain + EXIT_GRACE_SECONDS, 0 if sig == signal.SIGTERM else 128 + sig, "")
        super().handle_exit(sig, frame)


def exit_after(seconds: float, code: int, sentence: str) -> None:
    """Ends the process whatever hangs in it then, a thread in a device's driver for one."""

    def end() -> None:
        if sentence:
            os.write(2, f"{sentence}\n".encode(errors="replace"))
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def run_until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    """SIGTERM is the normal end, with exit code 0, though uvicorn raises the signal once more when it has stopped."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        signal.signal(signal.SIGTERM, previous)
