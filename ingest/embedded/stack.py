"""Weaviate and the sidecar together."""

from pathlib import Path
from typing import Self

from ingest.embedded.locate import find_weaviate
from ingest.embedded.progress import QUIET, Progress
from ingest.embedded.server import LocalServer
from ingest.embedded.sidecar import LocalSidecar
from ingest.embedded.weaviate import LocalWeaviate


class LocalStack(LocalServer):
    """A private Weaviate that asks a private sidecar, both ended with this process. A context manager.

        with LocalStack("emoji", data_dir) as stack:
            stack.weaviate.url, stack.weaviate.grpc_port, stack.weaviate.api_key, stack.sidecar.url

    Raises StackError when Weaviate cannot be found, built or started, or the sidecar cannot be started.
    """

    weaviate: LocalWeaviate

    def __init__(self, model: str, data_dir: Path, progress: Progress = QUIET) -> None:
        self.data_dir = data_dir
        self.sidecar = LocalSidecar(model, log=data_dir / "sidecar.log")
        self._progress = progress

    def __enter__(self) -> Self:
        self._binary = find_weaviate(self._progress)
        self._progress.step("starting Weaviate and the sidecar")
        return super().__enter__()

    def _start(self) -> None:
        """Side by side: either takes seconds to start, most of them waiting."""
        self.stop()
        self.sidecar.launch()
        self.weaviate = LocalWeaviate(self.data_dir, self.sidecar.url, self._binary, self._progress)
        self.weaviate.launch()
        self.sidecar.wait_until_ready()
        self.weaviate.wait_until_ready()

    @property
    def runs(self) -> bool:
        """Both of them."""
        return self.weaviate.runs and self.sidecar.runs

    def stop(self) -> None:
        if hasattr(self, "weaviate"):
            self.weaviate.stop()
        self.sidecar.stop()
