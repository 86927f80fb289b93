"""What happens before a sidecar is ready: the socket, the server's configuration, loading and warming up the model."""

import contextlib
import logging
import math
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import uvicorn
from PIL import Image

from clip_vectorizer import __version__
from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.freed_memory import return_freed_memory
from clip_vectorizer.models.catalog import ModelName, load_encoders
from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.protocol import format_loading
from clip_vectorizer.server.app import build_app
from clip_vectorizer.server.http_protocol import build_protocol
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

UNLIMITED_FILES = 2**20
KEEP_ALIVE_SECONDS = 120  # Weaviate's pooled connections idle for 90
SPARE_FILES = 64  # of the files that may be open: those that are no connections
LISTEN_BACKLOG = 2048  # connections that wait to be accepted

log = logging.getLogger(__name__)
EncoderLoader = Callable[[], Sequence[Encoder]]  # one encoder per device


def listen(host: str, port: int, accept: bool = True) -> socket.socket:
    """A bound socket, which refuses connections unless `accept`. Raises VectorizerError if the address is not free."""
    # Name the protocol: without it asyncio leaves Nagle's delay on for the connections of the socket.
    listener = socket.socket(address_family(host), socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sys.platform != "win32")
        listener.bind((host, port))
        if accept:
            listener.listen(LISTEN_BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        raise VectorizerError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port (CLIP_PORT)"
        ) from error


def log_address(listener: socket.socket, settings: Settings) -> None:
    when = " once the model is loaded" if settings.listen_when_ready else ""
    log.info("clip-vectorizer %s listens on %s%s", __version__, format_url(listener), when)


def address_family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def format_url(listener: socket.socket) -> str:
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_config(service: Service, settings: Settings) -> uvicorn.Config:
    """The configuration of the HTTP server. Raises this process's limit of open files."""
    deadline = settings.limits.deadline_seconds
    max_connections = min(settings.max_connections, raise_file_limit() - SPARE_FILES)
    return uvicorn.Config(
        build_app(service, settings),
        http=build_protocol(service.metrics, deadline, KEEP_ALIVE_SECONDS, max_connections),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the address of the client is not used
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(deadline),
    )


def raise_file_limit() -> int:
    """Raise the limit of open files and connections of this process to the system's maximum, and return it."""
    if resource is None:
        return UNLIMITED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems announce more than they allow
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return UNLIMITED_FILES if soft == resource.RLIM_INFINITY else soft


def load_configured_encoders(settings: Settings) -> Sequence[Encoder]:
    """Load one encoder per device, and set the threads of torch for this process.

    Raises ModelUnavailable, SettingsError. Imports torch, which takes seconds.
    """
    from clip_vectorizer.models.devices import Placement
    from clip_vectorizer.models.torch_threads import cap_torch_threads, set_torch_threads

    cap_torch_threads(usable_cores())
    placement = Placement(settings.device, settings.precision)
    name = ModelName(settings.model, settings.architecture, settings.attend_padding)
    encoders = load_encoders(name, placement)
    set_torch_threads(encoders, settings.threads)
    return encoders


def loading_status(settings: Settings) -> str:
    """The message of a 503 before the model is loaded."""
    return format_loading(settings.model)


class LoadingThread(threading.Thread):
    """Loads and warms up the model while the server answers. A daemon: a stop does not wait for it."""

    def __init__(
        self,
        load: EncoderLoader,
        max_batch: int,
        on_loaded: Callable[[Sequence[Encoder]], None],
        on_error: Callable[[BaseException], None],
        state: str,
    ) -> None:
        """`on_loaded` and `on_error` are called in this thread. `state` is the sidecar's afterwards, for the log."""
        super().__init__(name="loading", daemon=True)
        self._load, self._max_batch, self._state = load, max_batch, state
        self._on_loaded, self._on_error = on_loaded, on_error

    def run(self) -> None:
        start = time.monotonic()
        try:
            encoders = self._load()
            for encoder in encoders:
                warm_up(encoder, self._max_batch)
            return_freed_memory()
            self._on_loaded(encoders)
        except Exception as error:
            self._on_error(error)
            return
        log.info("%s after %.1f s: %s", self._state, time.monotonic() - start, format_model(encoders))


@contextlib.contextmanager
def end_on_sigterm() -> Iterator[None]:
    """In it SIGTERM ends the process, which it would not do by itself for the first process of a container."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def warm_up(encoder: Encoder, max_batch: int) -> None:
    """Do what makes first batches slow, and encode an item of each kind: what cannot work must fail now."""
    encoder.warm_up(max_batch)
    if encoder.info.texts:
        encoder.encode_texts([encoder.prepare_text("warm-up")])
    encoder.encode_images([encoder.prepare_image(Image.new("RGB", (8, 8)))])


def format_model(encoders: Sequence[Encoder]) -> str:
    info = encoders[0].info
    devices = " ".join(encoder.info.device for encoder in encoders)
    return f"{info.model}, {info.dimension} dimensions, {devices} {info.precision}"


def wrap_error(error: BaseException, model: str) -> BaseException:
    """An error of this project as it is; any other with the model's name, which its message may lack."""
    if isinstance(error, VectorizerError):
        return error
    return VectorizerError(f"{model} failed: {type(error).__name__}: {error}")
