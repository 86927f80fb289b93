"""Runs a sidecar: it listens at once, and answers when the model is loaded."""

import logging
import math
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

import uvicorn
from PIL import Image

from clip_vectorizer import __version__
from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.models.catalog import ModelName, load_encoders
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.app import app_of
from clip_vectorizer.server.connection import connection_of
from clip_vectorizer.server.ending import End, Server, run_until_signal
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.open_files import files_allowed
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings

log = logging.getLogger(__name__)
Load = Callable[[], Sequence[Encoder]]  # one a device
KEEP_ALIVE_SECONDS = 120  # Weaviate's pooled connections idle for 90
SPARE_FILES = 64  # of those that the system lets us open: what is not a connection
DRAIN_SECONDS = Limits().deadline_seconds  # what requests in flight get after SIGTERM, where nothing else is set
BACKLOG = 2048  # connections that wait to be accepted


def serve(settings: Settings, load: Load) -> None:
    """Serves until SIGTERM or SIGINT. Raises VectorizerError when it cannot listen or load."""
    if settings.processes > 1:
        from clip_vectorizer.server.fronts.sidecar import serve_with_fronts

        return serve_with_fronts(settings, load)
    end = End()
    service = Service(settings.limits, settings.decode_threads, end.at_once)
    service.status = f"loading {settings.model}; ask again in a moment"
    listener = listen(settings.host, settings.port)
    log.info("clip-vectorizer %s listens on %s", __version__, url_of(listener))
    end.server = Server(config_of(service, settings))
    Loading(service, load, end).start()
    run_until_signal(end.server, listener)
    if end.error:
        raise sentence_of(end.error, settings.model)
    log.info("stopped")


def load_as_set(settings: Settings) -> Sequence[Encoder]:
    """One encoder a device. Raises ModelUnavailable, SettingsError. Imports torch, which takes seconds."""
    from clip_vectorizer.models.placement import Placement

    placement = Placement(settings.device, settings.precision, settings.threads)
    return load_encoders(ModelName(settings.model, settings.architecture), placement)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises VectorizerError when the address cannot be had."""
    # The protocol by name: of connections of a socket without it asyncio takes Nagle's delay for wanted.
    listener = socket.socket(family_of(host), socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, sys.platform != "win32")
        listener.bind((host, port))
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        listener.close()
        raise VectorizerError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port (CLIP_PORT)"
        ) from error


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def config_of(service: Service, settings: Settings) -> uvicorn.Config:
    deadline = settings.limits.deadline_seconds
    most = min(settings.max_connections, files_allowed() - SPARE_FILES)
    return uvicorn.Config(
        app_of(service, settings),
        http=connection_of(service.metrics, deadline, KEEP_ALIVE_SECONDS, most),
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


class Loading(threading.Thread):
    """Loads the model beside the server. A failure ends the server."""

    def __init__(self, service: Service, load: Load, end: End) -> None:
        super().__init__(name="loading", daemon=True)  # a stop need not wait for it
        self._service, self._load, self._end = service, load, end

    def run(self) -> None:
        start = time.monotonic()
        try:
            encoders = self._load()
            for encoder in encoders:
                warm_up(encoder, self._service.limits.max_batch)
        except Exception as error:
            self._end.because(error)
            return
        self._service.use(*encoders)
        log.info("ready after %.1f s: %s", time.monotonic() - start, told(encoders))


def told(encoders: Sequence[Encoder]) -> str:
    info = encoders[0].info
    devices = " ".join(encoder.info.device for encoder in encoders)
    return f"{info.model}, {info.dimension} dimensions, {devices} {info.precision}"


def sentence_of(error: BaseException, model: str) -> BaseException:
    """Ours as it is; any other with the model's name, for its own words may not tell."""
    if isinstance(error, VectorizerError):
        return error
    return VectorizerError(f"{model} failed: {type(error).__name__}: {error}")


def warm_up(encoder: Encoder, max_batch: int) -> None:
    """All that makes first batches slow, and a whole way of each kind: what cannot work later shows now."""
    encoder.warm_up(max_batch)
    encoder.encode_texts([encoder.prepare_text("warm-up")])
    encoder.encode_images([encoder.prepare_image(Image.new("RGB", (8, 8)))])
