"""A server of a test, in a thread of its own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer

from clip_vectorizer.address_guard import AddressGuard

ALLOWED = ("127.0.0.1",)  # for --allow-address: where the servers of tests are
LOOPBACK = AddressGuard.parse(ALLOWED)
POLL_SECONDS = 0.01  # how soon it notices shutdown()


@contextmanager
def running(server: HTTPServer) -> Iterator[str]:
    """Its address."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
