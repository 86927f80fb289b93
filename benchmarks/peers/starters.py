"""How each peer is started as its documentation says, with the weights of this benchmark and without a network.

Servers listen on the loopback interface. What is changed of a peer is only where its weights come from.
"""

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil  # type: ignore[import-untyped]

from benchmarks.peers.catalog import CLIP_AS_SERVICE, FASTEMBED, INFINITY, WEAVIATE, PeerPackage
from benchmarks.peers.environments import PeerUnavailable, find_python, summarise_error
from benchmarks.peers.sides import INFINITY_INTERFACE, WEAVIATE_INTERFACE, PeerSide, ServerSide, start_loop
from benchmarks.peers.weights import OPEN_CLIP, OPEN_CLIP_FOLDER, TRANSFORMERS, find_weights
from benchmarks.servers import (
    READY,
    STOP_SECONDS,
    Server,
    find_free_port,
    make_offline_environment,
    run_server,
    start_own_server,
    stop_server,
)

ARCHITECTURE = "ViT-B-32"
OWN = "`clip-vectorizer serve`"
CLIP_AS_SERVICE_MODEL = "ViT-B-32::laion2b-s34b-b79k"  # stands for its architecture, with GELU
QUIET = {
    "DO_NOT_TRACK": "1",
    "INFINITY_ANONYMOUS_USAGE_STATS": "0",
    "JINA_OPTOUT_TELEMETRY": "1",
    "NO_VERSION_CHECK": "1",
}
FLOW = """\
jtype: Flow
version: '1'
with:
  host: 127.0.0.1
  port: {port}
  monitoring: false
executors:
  - name: clip_t
    uses:
      jtype: CLIPEncoder
      with:
        name: {model}
      metas:
        py_modules:
          - {module}
    replicas: 1
"""


@dataclass(frozen=True, slots=True)
class StartRequest:
    weights: Path  # the folder of weights.py
    upstream: Path | None  # the code of Weaviate's container


Start = Callable[[StartRequest], AbstractContextManager[PeerSide]]


def start_own(precision: str) -> Start:
    @contextmanager
    def start(request: StartRequest) -> Iterator[PeerSide]:
        """This project's sidecar. It keeps no vectors, for all loads send the same items."""
        model = f"local-dir:{request.weights / OPEN_CLIP_FOLDER}"
        with start_own_server(precision, model, CLIP_CACHE_BYTES="0") as server:
            yield ServerSide(server, WEAVIATE_INTERFACE)

    return start


def start_container(library: str) -> Start:
    @contextmanager
    def start(request: StartRequest) -> Iterator[PeerSide]:
        """Weaviate's container: its own code and its pins, `library` for the model."""
        if request.upstream is None:
            raise PeerUnavailable("not measured: --upstream names no folder with its code")
        words = (str(find_python(WEAVIATE)), "-m", "uvicorn", "app:app", "--app-dir", str(request.upstream.resolve()))
        folder = request.weights / f"container-{library}"
        with run_peer(library, (*words, "--port", "PORT"), cwd=folder) as server:
            yield ServerSide(server, WEAVIATE_INTERFACE)

    return start


@contextmanager
def start_infinity(request: StartRequest) -> Iterator[PeerSide]:
    words = (str(find_python(INFINITY).with_name("infinity_emb")), "v2", "--host", "127.0.0.1", "--port", "PORT")
    model = ("--model-id", str(request.weights / TRANSFORMERS), "--served-model-name", "clip")
    options = ("--engine", "torch", "--device", "cpu", "--dtype", "float32", "--no-model-warmup")
    with run_peer("infinity", (*words, *model, *options), ready="/health") as server:
        yield ServerSide(server, INFINITY_INTERFACE)


@contextmanager
def start_clip_as_service(request: StartRequest) -> Iterator[PeerSide]:
    """clip-server with its own client over gRPC. The memory is the server's."""
    python, port = find_python(CLIP_AS_SERVICE), find_free_port()
    module = Path(__file__).with_name("clip_as_service.py")
    with TemporaryDirectory() as folder:
        flow = Path(folder) / "flow.yml"
        flow.write_text(FLOW.format(port=port, model=CLIP_AS_SERVICE_MODEL, module=module), encoding="utf-8")
        words = (str(python), "-m", "clip_server", str(flow))
        weights = {"WEIGHTS": str((request.weights / OPEN_CLIP).resolve())}
        address = f"grpc://127.0.0.1:{port}"
        with (
            run_tree(words, weights) as pid,
            start_loop(python, "clip_client", request.weights, address, others=(pid,)) as side,
        ):
            yield side


@contextmanager
def start_fastembed(request: StartRequest) -> Iterator[PeerSide]:
    weights = find_weights(ARCHITECTURE, "fastembed")
    with start_loop(find_python(FASTEMBED), "fastembed", weights) as side:
        yield side


def start_own_library(library: str, *options: str) -> Start:
    """A loop with a library of this project's own environment, in the version that the sidecar runs with."""
    return lambda request: start_loop(Path(sys.executable), library, request.weights, *options)


@contextmanager
def run_peer(name: str, words: Sequence[str], cwd: Path | None = None, ready: str = READY) -> Iterator[Server]:
    """run_server, with PeerUnavailable for a server that does not start."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(run_server(name, words, cwd, QUIET, ready))
        except RuntimeError as error:
            state, _, log = str(error).removeprefix(name).strip().partition(": ")
            raise PeerUnavailable(f"{state} after its start: {summarise_error(log)}") from error
        yield server


@contextmanager
def run_tree(words: Sequence[str], env: Mapping[str, str]) -> Iterator[int]:
    """A process with children, by its id; all are stopped at the end. Whether it is ready is for its client to find."""
    process = subprocess.Popen(
        words, env={**make_offline_environment(), **QUIET, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        stop_server(process)
        _, left = psutil.wait_procs(children, STOP_SECONDS)
        for child in left:
            child.kill()


@dataclass(frozen=True, slots=True)
class ServingPeer:
    name: str  # in the table
    version: str
    licence: str
    start: Start


def describe(package: PeerPackage, name: str, start: Start) -> ServingPeer:
    return ServingPeer(name, package.version, package.licence, start)


def describe_library(distribution: str, name: str, licence: str, start: Start) -> ServingPeer:
    return ServingPeer(name, f"{distribution} {importlib.metadata.version(distribution)}", licence, start)


SERVING: dict[str, ServingPeer] = {
    "container-open_clip": describe(WEAVIATE, "Weaviate's container, open_clip", start_container("open_clip")),
    "container-transformers": describe(WEAVIATE, "Weaviate's container, transformers", start_container("transformers")),
    "infinity": describe(INFINITY, "infinity", start_infinity),
    "clip-as-service": describe(CLIP_AS_SERVICE, "clip-as-service", start_clip_as_service),
    "fastembed": describe(FASTEMBED, "fastembed (ONNX Runtime)", start_fastembed),
    "transformers": describe_library(
        "transformers", "loop, transformers", "Apache-2.0", start_own_library("transformers")
    ),
    "open_clip": describe_library(
        "open_clip_torch", "loop, open_clip", "MIT", start_own_library("open_clip", ARCHITECTURE)
    ),
}
