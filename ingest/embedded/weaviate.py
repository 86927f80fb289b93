"""A private Weaviate on this machine: free ports, and a generated key that every port open to the network requires."""

import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import httpx

from clip_vectorizer.child_process import ChildProcess
from clip_vectorizer.errors import StackError
from clip_vectorizer.progress import SILENT, StepProgress
from ingest.embedded.binary import find_weaviate
from ingest.embedded.files import LockHeld, hold_lock
from ingest.embedded.local_server import LOOPBACK, ChildServer, find_free_pair, find_free_ports, get_status

START_SECONDS = 180.0  # measured: 11 s on two idle cores
RELEASE_SECONDS = 15.0  # a Weaviate that is shutting down may hold its data folder for that long
NODE_USER = "local"
INHERITED_VARIABLES = (
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "GOMEMLIMIT",
    "GOMAXPROCS",
)  # never AUTHENTICATION_* or CLUSTER_*


class LocalWeaviate(ChildServer):
    """Context manager: Weaviate with the multi2vec-clip module, which gets its vectors from the sidecar at `clip_url`,
    and with the backup module of the file system.

    Data, log and lock file are in `data_dir`. Raises StackError when another process uses it.
    """

    name = "Weaviate"
    start_seconds = START_SECONDS

    def __init__(
        self,
        data_dir: Path,
        clip_url: str,
        binary: Path | None = None,
        progress: StepProgress = SILENT,
        release_seconds: float = RELEASE_SECONDS,
        backups: Path | None = None,
    ) -> None:
        """`backups`: where `clip-ingest backup` puts its files; None: in `data_dir`."""
        super().__init__()
        self.data_dir = data_dir
        self.backups = backups or data_dir / "backups"
        self.api_key = secrets.token_urlsafe(24)
        self.grpc_port = 0
        self._clip_url = clip_url
        self._binary = binary
        self._progress = progress
        self._release_seconds = release_seconds

    def _run(self) -> ChildProcess:
        binary = self._binary or find_weaviate(self._progress)
        self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # private: it holds the user's images
        try:
            lock = self._open.enter_context(hold_lock(self.data_dir / "lock", self._release_seconds))
        except LockHeld:
            raise StackError(
                f"another process runs a Weaviate on {self.data_dir}; "
                "wait for it, or end it (`clip-demo down` ends one in the background)"
            ) from None
        http, self.grpc_port = find_free_ports(2)
        self.url = f"http://{LOOPBACK}:{http}"
        command: list[str | Path] = [binary, "--scheme", "http", "--host", LOOPBACK, "--port", str(http)]
        log = self.data_dir / "weaviate.log"
        return ChildProcess(command, log, self._environment(), held_files=[lock])

    def _environment(self) -> dict[str, str]:
        gossip, data = find_free_pair()  # the server assumes data = gossip + 1
        raft, raft_internal = find_free_pair()
        ports = {
            "GRPC_PORT": self.grpc_port,
            "CLUSTER_GOSSIP_BIND_PORT": gossip,
            "CLUSTER_DATA_BIND_PORT": data,
            "RAFT_PORT": raft,
            "RAFT_INTERNAL_RPC_PORT": raft_internal,
        }
        return {
            **select_inherited(os.environ),
            **FIXED_SETTINGS,
            **{name: str(port) for name, port in ports.items()},
            "RAFT_JOIN": f"{NODE_USER}:{raft}",
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self.api_key,
            "CLUSTER_BASIC_AUTH_PASSWORD": secrets.token_urlsafe(24),
            "CLIP_INFERENCE_API": self._clip_url,
            "PERSISTENCE_DATA_PATH": str(self.data_dir / "weaviate"),
            "BACKUP_FILESYSTEM_PATH": str(self.backups.absolute()),
        }

    def _answers(self) -> bool:
        if get_status(f"{self.url}/v1/.well-known/ready") != httpx.codes.OK:
            return False
        socket.create_connection((LOOPBACK, self.grpc_port), timeout=2).close()
        return True


FIXED_SETTINGS = {
    "ENABLE_MODULES": "multi2vec-clip,backup-filesystem,generative-ollama",
    "CLIP_WAIT_FOR_STARTUP": "false",  # both start in parallel, and LocalStack waits for both
    "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
    "AUTHENTICATION_APIKEY_ENABLED": "true",
    "AUTHENTICATION_APIKEY_USERS": NODE_USER,
    "CLUSTER_HOSTNAME": NODE_USER,  # stored with the data: it must be the same at every start
    "CLUSTER_ADVERTISE_ADDR": LOOPBACK,
    "CLUSTER_BIND_ADDR": LOOPBACK,
    "CLUSTER_BASIC_AUTH_USERNAME": NODE_USER,
    "RAFT_BOOTSTRAP_EXPECT": "1",
    "RAFT_TIMEOUTS_MULTIPLIER": "1",
    "ENABLE_CLEANUP_UNFINISHED_BACKUPS": "true",  # else one that a kill interrupted looks as if it still ran
    "DISABLE_TELEMETRY": "true",
    "GO_PROFILING_DISABLE": "true",
    # A laptop's disk is often fuller than 90 %, where Weaviate turns read-only. 0 means never.
    "DISK_USE_READONLY_PERCENTAGE": "0",
    "DISK_USE_WARNING_PERCENTAGE": "0",
}


def select_inherited(env: Mapping[str, str]) -> dict[str, str]:
    return {name: env[name] for name in INHERITED_VARIABLES if name in env}
