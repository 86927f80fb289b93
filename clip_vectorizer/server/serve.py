"""Runs a sidecar: it listens at once, and answers when the model is loaded."""

import asyncio
import logging
import signal
import socket
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
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings

log = logging.getLogger(__name__)
Load = Callable[[], Sequence[Encoder]]  # one a device
KEEP_ALIVE_SECONDS = 120  # Weaviate's pooled connections idle for 90
DRAIN_SECONDS = 5  # what requests in flight get after SIGTERM
BACKLOG = 2048  # connections that wait to be accepted


def serve(settings: Settings, load: Load) -> None:
    """Serves until SIGTERM or SIGINT. Raises VectorizerError when it cannot listen or load."""
    end = End()
    service = Service(settings.limits, settings.decode_threads, end.because)
    service.status = f"loading {settings.model}; ask again in a moment"
    listener = listen(settings.host, settings.port)
    log.info("clip-vectorizer %s listens on %s", __version__, url_of(listener))
    end.server = uvicorn.Server(config_of(service, settings))
    Loading(service, load, end).start()
    run_until_signal(end.server, listener)
    if end.error:
        raise sentence_of(end.error, settings.model)
    log.info("stopped")


class End:
    """Why the server ends, where it is not a signal: the model could not be loaded, or its worker died."""

    server: uvicorn.Server

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def because(self, error: BaseException) -> None:
        """May be called from any thread; the first reason counts."""
        self.error = self.error or error
        self.server.should_exit = True


def load_as_set(settings: Settings) -> Sequence[Encoder]:
    """One encoder a device. Raises ModelUnavailable, SettingsError. Imports torch, which takes seconds."""
    from clip_vectorizer.models.placement import Placement

    placement = Placement(settings.device, settings.precision, settings.threads)
    return load_encoders(ModelName(settings.model, settings.architecture), placement)


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
        log.info("ready after %.1f s: %s", time.monotonic() - start, encoders[0].info)


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


def run_until_signal(server: uvicorn.Server, listener: socket.socket) -> None:
    """SIGTERM is the normal end, with exit code 0, though uvicorn raises the signal once more when it has stopped."""
    previous = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        signal.signal(signal.SIGTERM, previous)
