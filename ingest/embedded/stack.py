"""The sidecar as a child process, alone or together with Weaviate."""

import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import httpx

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.protocol import READY
from ingest.embedded.binary import find_weaviate
from ingest.embedded.local_server import LOOPBACK, LocalServer, find_free_ports, get_status, wait_until
from ingest.embedded.weaviate import LocalWeaviate

START_SECONDS = 900.0  # includes the download of a model that is not on this machine yet


class LocalStack(LocalServer):
    """Context manager: a private Weaviate and the private sidecar that it calls. Both end with this process.

        with LocalStack("emoji", data_dir) as stack:
            stack.weaviate.url, stack.weaviate.grpc_port, stack.weaviate.api_key, stack.sidecar.url

    Raises StackError when Weaviate cannot be found, built or started, or the sidecar cannot be started.
    """

    weaviate: LocalWeaviate

    def __init__(self, model: str, data_dir: Path, progress: StepProgress = SILENT) -> None:
        self.data_dir = data_dir
        self.sidecar = LocalSidecar(model, log=data_dir / "sidecar.log")
        self._progress = progress

    def __enter__(self) -> Self:
        self._binary = find_weaviate(self._progress)
        self._progress.step("starting Weaviate and the sidecar")
        return super().__enter__()

    def _start(self) -> None:
        """Start both in parallel: each takes seconds to start, mostly waiting."""
        self.stop()
        self.sidecar.launch()
        self.weaviate = LocalWeaviate(self.data_dir, self.sidecar.url, self._binary, self._progress)
        self.weaviate.launch()
        self.sidecar.wait_until_ready()
        self.weaviate.wait_until_ready()

    @property
    def is_running(self) -> bool:
        """Whether both processes run."""
        return self.weaviate.is_running and self.sidecar.is_running

    def stop(self) -> None:
        if hasattr(self, "weaviate"):
            self.weaviate.stop()
        self.sidecar.stop()


class LocalSidecar(LocalServer):
    """Context manager: `clip-vectorizer serve` with `model`, on a free loopback port."""

    def __init__(self, model: str = "emoji", log: Path | None = None) -> None:
        self.model = model
        self.url = ""
        self._log = log
        self._open = ExitStack()
        self._child: ChildProcess | None = None

    def _start(self) -> None:
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the sidecar, set `url` and return at once."""
        self.stop()
        (port,) = find_free_ports(1)
        self.url = f"http://{LOOPBACK}:{port}"
        log = self._log or Path(self._open.enter_context(TemporaryDirectory())) / "sidecar.log"
        self._child = self._open.enter_context(ChildProcess(self._command(port), log))

    def _command(self, port: int) -> list[str]:
        # -P: a file in the working directory that is named like one of our imports must not be imported instead
        serve = [sys.executable, "-P", "-m", "clip_vectorizer.cli", "serve"]
        return [*serve, "--model", self.model, "--host", LOOPBACK, "--port", str(port)]

    def wait_until_ready(self) -> None:
        """Raises StackError, with the last lines of the log, when the sidecar ends or is not ready in time."""
        if self._child is None:
            raise StackError("LocalSidecar: call launch() before wait_until_ready()")
        wait_until(self._answers, self._child, f"the sidecar with model {self.model}", START_SECONDS)

    def _answers(self) -> bool:
        return get_status(f"{self.url}{READY}") == httpx.codes.NO_CONTENT

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.exit_code is None

    def stop(self) -> None:
        """Stop the sidecar, if it runs, and wait until it has ended."""
        self._child = None
        self._open.close()
