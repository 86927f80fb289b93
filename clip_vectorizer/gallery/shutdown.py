"""The end of the gallery: within two seconds of a signal, whatever still runs."""

import asyncio
import logging
import os
import signal
import socket
import threading
from types import FrameType

import uvicorn

GRACE_SECONDS = 1  # for requests that run
LAST_SECONDS = 1.8  # for a thread that cannot be interrupted: a picture in decoding, a server that does not respond


class GalleryServer(uvicorn.Server):
    """uvicorn's. The first signal lets requests finish, the second ends immediately."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(0)
        timer = threading.Timer(LAST_SECONDS, os._exit, (0,))
        timer.daemon = True
        timer.start()
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # no stack traces of requests that are cancelled
        super().handle_exit(sig, frame)


def run_until_signal(config: uvicorn.Config, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM. Returns then, although uvicorn raises the signal again when it has stopped."""
    config.timeout_graceful_shutdown = GRACE_SECONDS
    previous = {each: signal.signal(each, lambda *_: None) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        asyncio.run(GalleryServer(config).serve(sockets=[listener]))
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)
