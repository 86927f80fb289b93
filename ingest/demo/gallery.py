"""The search page of `clip-gallery` beside a stack, as a process of its own on loopback."""

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.errors import StackError
from ingest.demo.places import Endpoints
from ingest.demo.state import DaemonState
from ingest.embedded.local_server import LOOPBACK, ChildServer, find_free_ports, get_status

USUAL_PORT = 8091  # of `clip-gallery`: an address that was kept works again
START_SECONDS = 60.0
READY_PATH = "/ready"  # 503 while a collection is missing: the page is there, with a sentence
STATUSES = (httpx.codes.OK, httpx.codes.SERVICE_UNAVAILABLE)


class LocalGallery(ChildServer):
    """Context manager: `clip-gallery` on a stack. Raises StackError where it does not start."""

    name = "the search page"
    start_seconds = START_SECONDS

    def __init__(self, endpoints: Endpoints, log: Path, env: Mapping[str, str] = os.environ) -> None:
        super().__init__()
        self._env = {**env, **endpoints.variables()}
        self._log = log

    def _run(self) -> ChildProcess:
        port = choose_port()
        self.url = f"http://{LOOPBACK}:{port}/"
        # -P: a file in the working directory that is named like one of our imports must not be imported instead
        command = [sys.executable, "-P", "-m", "clip_vectorizer.gallery", "--port", str(port)]
        return ChildProcess(command, self._log, env=self._env)

    def _answers(self) -> bool:
        return get_status(f"{self.url.rstrip('/')}{READY_PATH}") in STATUSES


def choose_port() -> int:
    """Return the usual port, or a free one while another process has it."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((LOOPBACK, USUAL_PORT))
        except OSError:
            return find_free_ports(1)[0]
    return USUAL_PORT


class GalleryRequest:
    """Whether someone wants a page beside the stack: set by a signal, taken by the daemon's loop."""

    def __init__(self) -> None:
        self._is_open = False

    def make(self, *_: object) -> None:
        """The handler of the signal."""
        self._is_open = True

    def take(self) -> bool:
        is_open, self._is_open = self._is_open, False
        return is_open


def update_gallery(state: DaemonState, gallery: LocalGallery, is_wanted: bool) -> DaemonState:
    """Start the page where it is wanted and does not run; return the state with its address, or with the error."""
    if is_wanted and not gallery.is_running:
        try:
            gallery.__enter__()
        except StackError as error:
            return replace(state, gallery_url="", gallery_errors=(*state.gallery_errors, str(error)))
    return replace(state, gallery_url=gallery.url if gallery.is_running else "")
