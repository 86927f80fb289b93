"""A sidecar on this machine, as a child process."""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from clip_vectorizer.child import Child
from clip_vectorizer.errors import StackError
from clip_vectorizer.protocol import READY
from ingest.embedded.ports import LOOPBACK, free_ports
from ingest.embedded.ready import status_of, wait_until
from ingest.embedded.server import LocalServer

START_SECONDS = 900.0  # a model that is not on this machine yet is downloaded first


class LocalSidecar(LocalServer):
    """`clip-vectorizer serve` with `model`, on a free loopback port. A context manager."""

    def __init__(self, model: str = "emoji", log: Path | None = None) -> None:
        self.model = model
        self.url = ""
        self._log = log
        self._open = ExitStack()
        self._child: Child | None = None

    def _start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Starts the sidecar and returns at once; `url` is known then."""
        self.stop()
        (port,) = free_ports(1)
        self.url = f"http://{LOOPBACK}:{port}"
        log = self._log or Path(self._open.enter_context(TemporaryDirectory())) / "sidecar.log"
        self._child = self._open.enter_context(Child(self._command(port), log))

    def _command(self, port: int) -> list[str]:
        # -P: a file named like one of our imports in the present folder must not be taken for it
        serve = [sys.executable, "-P", "-m", "clip_vectorizer.cli", "serve"]
        return [*serve, "--model", self.model, "--host", LOOPBACK, "--port", str(port)]

    def wait_until_ready(self) -> None:
        """Raises StackError, with the log's last lines, when the sidecar ends or is not ready in time."""
        if self._child is None:
            raise StackError("LocalSidecar: launch() comes before wait_until_ready()")
        wait_until(self._answers, self._child, f"the sidecar with model {self.model}", START_SECONDS)

    def _answers(self) -> bool:
        return status_of(f"{self.url}{READY}") == httpx.codes.NO_CONTENT

    @property
    def runs(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def stop(self) -> None:
        """Ends the sidecar, if it runs, and waits until it is gone."""
        self._child = None
        self._open.close()
