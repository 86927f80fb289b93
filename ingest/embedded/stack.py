"""The sidecar as a child process, alone or together with Weaviate."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import httpx

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.protocol import READY
from ingest.embedded.binary import find_weaviate
from ingest.embedded.local_server import LOOPBACK, ChildServer, LocalServer, find_free_ports, get_status
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


class LocalSidecar(ChildServer):
    """Context manager: `clip-vectorizer serve` with `model`, on a free loopback port."""

    start_seconds = START_SECONDS

    def __init__(self, model: str = "emoji", log: Path | None = None) -> None:
        super().__init__()
        self.model = model
        self.name = f"the sidecar with model {model}"
        self._log = log

    def _run(self) -> ChildProcess:
        (port,) = find_free_ports(1)
        self.url = f"http://{LOOPBACK}:{port}"
        log = self._log or Path(self._open.enter_context(TemporaryDirectory())) / "sidecar.log"
        return ChildProcess(self._command(port), log)

    def _command(self, port: int) -> list[str]:
        # -P: a file in the working directory that is named like one of our imports must not be imported instead
        serve = [sys.executable, "-P", "-m", "clip_vectorizer.cli", "serve"]
        return [*serve, "--model", self.model, "--host", LOOPBACK, "--port", str(port)]

    def _answers(self) -> bool:
        return get_status(f"{self.url}{READY}") == httpx.codes.NO_CONTENT
