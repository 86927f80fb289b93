"""Connects to a running sidecar, or starts one for the time of an evaluation."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import SidecarUnreachable, StackError
from clip_vectorizer.query.evaluation.dataset import Progress

LOOPBACK = "127.0.0.1"
START_SECONDS = 900.0  # a model that is not in the cache is downloaded first
POLL_SECONDS = 1.0


@contextmanager
def connect_sidecar(model: str, api_key: str | None, progress: Progress) -> Iterator[VectorizerClient]:
    """Yield a client. `model`: the URL of a running sidecar, or a name that `clip-vectorizer serve --model` accepts.

    Raises StackError with the last lines of the log when the started sidecar fails.
    """
    if model.startswith(("http://", "https://")):
        with VectorizerClient(model, api_key=api_key) as client:
            yield client
        return
    with TemporaryDirectory() as folder:
        port = free_port()
        command = [sys.executable, "-P", "-m", "clip_vectorizer.cli", "serve", "--model", model]
        address = ["--host", LOOPBACK, "--port", str(port)]
        with (
            ChildProcess([*command, *address], Path(folder) / "sidecar.log") as child,
            VectorizerClient(f"http://{LOOPBACK}:{port}") as client,
        ):
            progress(f"starting a sidecar with {model}")
            wait_until_ready(client, child, model)
            yield client


def wait_until_ready(client: VectorizerClient, child: ChildProcess, model: str) -> None:
    for _ in range(int(START_SECONDS / POLL_SECONDS)):
        try:
            return client.wait_until_ready(POLL_SECONDS)
        except SidecarUnreachable:
            if child.exit_code is not None:
                break
    raise StackError(f"the sidecar with {model} did not start; the last lines of its log:\n{child.last_lines()}")


def free_port() -> int:
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        port: int = held.getsockname()[1]
    return port
