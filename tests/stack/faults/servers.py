"""Servers that a test may kill: a Weaviate that comes back on its ports with its data, a sidecar behind a proxy."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from clip_vectorizer.child_process import ChildProcess
from ingest.embedded import LocalSidecar, LocalWeaviate
from ingest.embedded.files import hold_lock
from ingest.embedded.local_server import LOOPBACK, find_free_ports, retry_with_fresh_ports
from tests.stack.faults.proxy import FlakySidecar
from tests.stack.processes import alive, descendants, eventually
from tests.stack.support import Stack

MODULE_SECONDS = 5  # how long Weaviate waits for one vector: short, so that a hanging sidecar can be tested


class RestartableWeaviate(LocalWeaviate):
    """A local Weaviate whose ports, key and data are the same at every start."""

    _settings: dict[str, str]

    def choose_ports(self) -> None:
        """Before the first `launch`."""
        self._http_port, self.grpc_port = find_free_ports(2)
        self.url = f"http://{LOOPBACK}:{self._http_port}"
        self._settings = self._environment() | {"MODULES_CLIENT_TIMEOUT": f"{MODULE_SECONDS}s"}

    def launch(self) -> None:
        self.stop()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        assert self._binary is not None
        words = ["--scheme", "http", "--host", LOOPBACK, "--port", str(self._http_port)]
        lock = self._open.enter_context(hold_lock(self.data_dir / "lock", self._release_seconds))
        child = ChildProcess([self._binary, *words], self.data_dir / "weaviate.log", self._settings, held_files=[lock])
        self._child = self._open.enter_context(child)

    def end(self, word: signal.Signals) -> None:
        """Sends `word` to the server's own process and returns when it is gone."""
        assert self._child is not None
        end_command(self._child, word)

    def start(self) -> None:
        """After `end`: the same address, the same data."""
        self.launch()
        self.wait_until_ready()


class KillableSidecar(LocalSidecar):
    """A local sidecar; started again it has another port, which the proxy in front of it gets."""

    def kill(self) -> None:
        assert self._child is not None
        end_command(self._child, signal.SIGKILL)


def end_command(child: ChildProcess, word: signal.Signals) -> None:
    """Ends what the keeper keeps; the keeper itself follows."""
    servers = descendants(child.pid)
    assert servers, "nothing runs that could be ended"
    for pid in servers:
        os.kill(pid, word)
    assert eventually(lambda: not alive(servers)), f"{word.name} did not end {servers}"


@dataclass(frozen=True, slots=True)
class World:
    """A private Weaviate whose module uses the proxy, with the real sidecar behind it."""

    weaviate: RestartableWeaviate
    sidecar: KillableSidecar
    proxy: FlakySidecar

    @property
    def stack(self) -> Stack:
        """The environment of a command: the sidecar's address is the proxy's."""
        return Stack(self.weaviate.url, self.weaviate.grpc_port, self.weaviate.api_key, self.proxy.url)

    @property
    def truth(self) -> Stack:
        """The same with the sidecar itself, past the proxy and its faults."""
        return Stack(self.weaviate.url, self.weaviate.grpc_port, self.weaviate.api_key, self.sidecar.url)

    def mend(self) -> None:
        """Everything runs without faults, also after a test that caused some."""
        self.proxy.behave()
        if not self.sidecar.is_running:
            self.restart_sidecar()
        self.proxy.upstream = self.sidecar.url
        if not self.weaviate.is_running:
            self.weaviate.start()

    def restart_sidecar(self) -> None:
        self.sidecar.launch()
        self.sidecar.wait_until_ready()
        self.proxy.upstream = self.sidecar.url


def start_world(sidecar: KillableSidecar, proxy: FlakySidecar, binary: Path, data_dir: Path) -> World:
    """Start both at once, as LocalStack does; the caller stops them."""
    weaviate = RestartableWeaviate(data_dir, proxy.url, binary)

    def attempt() -> World:
        sidecar.launch()
        proxy.upstream = sidecar.url
        weaviate.choose_ports()
        weaviate.launch()
        sidecar.wait_until_ready()
        weaviate.wait_until_ready()
        return World(weaviate, sidecar, proxy)

    return retry_with_fresh_ports(attempt)
