"""How many connections the system grants one process."""

import contextlib
import math
import socket
import sys
from collections.abc import Callable, Sequence

import uvicorn
from PIL import Image

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.models.catalog import ModelName, load_encoders
from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.app import build_app
from clip_vectorizer.server.http_protocol import build_protocol
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings

UNLIMITED_FILES = 2**20
KEEP_ALIVE_SECONDS = 120  # Weaviate's pooled connections idle for 90
SPARE_FILES = 64  # of those that the system lets us open: what is not a connection
LISTEN_BACKLOG = 2048  # connections that wait to be accepted


try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]


def raise_file_limit() -> int:
    """How many files and connections this process may have open: as many as the system lets it ask for."""
    if resource is None:
        return UNLIMITED_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems promise more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return UNLIMITED_FILES if soft == resource.RLIM_INFINITY else soft


EncoderLoader = Callable[[], Sequence[Encoder]]  # one a device


def load_configured_encoders(settings: Settings) -> Sequence[Encoder]:
    """Load one encoder per device, and set the threads of torch for this process.

    Raises ModelUnavailable, SettingsError. Imports torch, which takes seconds.
    """
    from clip_vectorizer.models.devices import Placement
    from clip_vectorizer.models.torch_threads import cap_torch_threads, set_torch_threads

    cap_torch_threads(usable_cores())
    placement = Placement(settings.device, settings.precision)
    encoders = load_encoders(ModelName(settings.model, settings.architecture), placement)
    set_torch_threads(encoders, settings.threads)
    return encoders


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises VectorizerError when the address cannot be had."""
    # The protocol by name: of connections of a socket without it asyncio takes Nagle's delay for wanted.
    listener = socket.socket(address_family(host), socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sys.platform != "win32")
        listener.bind((host, port))
        listener.listen(LISTEN_BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        raise VectorizerError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port (CLIP_PORT)"
        ) from error


def address_family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def format_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def build_config(service: Service, settings: Settings) -> uvicorn.Config:
    deadline = settings.limits.deadline_seconds
    most = min(settings.max_connections, raise_file_limit() - SPARE_FILES)
    return uvicorn.Config(
        build_app(service, settings),
        http=build_protocol(service.metrics, deadline, KEEP_ALIVE_SECONDS, most),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody looks at a caller's address
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(deadline),
    )


def format_model(encoders: Sequence[Encoder]) -> str:
    info = encoders[0].info
    devices = " ".join(encoder.info.device for encoder in encoders)
    return f"{info.model}, {info.dimension} dimensions, {devices} {info.precision}"


def wrap_error(error: BaseException, model: str) -> BaseException:
    """Ours as it is; any other with the model's name, for its own words may not tell."""
    if isinstance(error, VectorizerError):
        return error
    return VectorizerError(f"{model} failed: {type(error).__name__}: {error}")


def warm_up(encoder: Encoder, max_batch: int) -> None:
    """All that makes first batches slow, and a whole way of each kind: what cannot work later shows now."""
    encoder.warm_up(max_batch)
    encoder.encode_texts([encoder.prepare_text("warm-up")])
    encoder.encode_images([encoder.prepare_image(Image.new("RGB", (8, 8)))])
