"""Runs a sidecar: it listens at once, and answers when the model is loaded."""

import asyncio
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable

import uvicorn
from PIL import Image

from clip_vectorizer import __version__
from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.app import app_of
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings

log = logging.getLogger(__name__)
Load = Callable[[], Encoder]
KEEP_ALIVE_SECONDS = 120  # Weaviate's pooled connections idle for 90
DRAIN_SECONDS = 5  # what requests in flight get after SIGTERM
BACKLOG = 2048  # connections that wait to be accepted


def serve(settings: Settings, load: Load) -> None:
    """Serves until SIGTERM or SIGINT. Raises VectorizerError when it cannot listen or load."""
    service = Service(settings.limits, settings.decode_threads)
    service.status = f"loading {settings.model}; ask again in a moment"
    listener = listen(settings.host, settings.port)
    log.info("clip-vectorizer %s listens on %s", __version__, url_of(listener))
    server = uvicorn.Server(config_of(service, settings))
    loading = Loading(settings.model, service, load, server)
    loading.start()
    run_until_signal(server, listener)
    if loading.error:
        raise sentence_of(loading.error, settings.model)
    log.info("stopped")


def load_as_set(settings: Settings) -> Encoder:
    """Raises ModelUnavailable, SettingsError. Imports torch, which takes seconds."""
    from clip_vectorizer.models.placement import Placement

    placement = Placement(settings.device, settings.precision, settings.threads)
    return load_encoder(ModelName(settings.model, settings.architecture), placement)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises VectorizerError when the address cannot be had."""
    try:
        return socket.create_server((host, port), family=family_of(host), backlog=BACKLOG)
    except OSError as error:
        raise VectorizerError(
            f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port (CLIP_PORT)"
        ) from error


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def config_of(service: Service, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app_of(service, settings),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


class Loading(threading.Thread):
    """Loads the model beside the server. A failure ends the server and stays in `error`."""

    def __init__(self, name: str, service: Service, load: Load, server: uvicorn.Server) -> None:
        super().__init__(name="loading", daemon=True)  # a stop need not wait for it
        self._model, self._service, self._load, self._server = name, service, load, server
        self.error: Exception | None = None

    def run(self) -> None:
        start = time.monotonic()
        try:
            encoder = self._load()
            warm_up(encoder)
        except Exception as error:
            self.error = error
            self._server.should_exit = True
            return
        self._service.use(encoder)
        log.info("ready after %.1f s: %s", time.monotonic() - start, encoder.info)


def sentence_of(error: Exception, model: str) -> Exception:
    """Ours as it is; any other with the model's name, for its own words may not tell."""
    if isinstance(error, VectorizerError):
        return error
    return VectorizerError(f"{model} cannot be loaded: {type(error).__name__}: {error}")


def warm_up(encoder: Encoder) -> None:
    """One pass of each tower: the first is slow, and shows now what cannot work later."""
    encoder.encode_texts([encoder.prepare_text("warm-up")])
    encoder.encode_images([encoder.prepare_image(Image.new("RGB", (8, 8)))])


def run_until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    """SIGTERM is the normal end, with exit code 0, though uvicorn raises the signal once more when it has stopped."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        signal.signal(signal.SIGTERM, previous)
