"""Runs a sidecar: it listens at once, and answers when the model is loaded."""

import logging
import threading
import time

from clip_vectorizer import __version__
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from clip_vectorizer.server.shutdown import GracefulServer, Shutdown, run_until_signal
from clip_vectorizer.server.startup import (
    EncoderLoader,
    build_config,
    format_model,
    format_url,
    listen,
    warm_up,
    wrap_error,
)

log = logging.getLogger(__name__)
DRAIN_SECONDS = Limits().deadline_seconds  # what requests in flight get after SIGTERM, where nothing else is set


def serve(settings: Settings, load: EncoderLoader) -> None:
    """Serves until SIGTERM or SIGINT. Raises VectorizerError when it cannot listen or load."""
    if settings.processes > 1:
        from clip_vectorizer.server.workers.multiprocess import serve_multiprocess

        return serve_multiprocess(settings, load)
    end = Shutdown()
    service = Service(settings.limits, settings.decode_threads, end.at_once)
    service.status = f"loading {settings.model}; ask again in a moment"
    listener = listen(settings.host, settings.port)
    log.info("clip-vectorizer %s listens on %s", __version__, format_url(listener))
    end.server = GracefulServer(build_config(service, settings))
    Loading(service, load, end).start()
    run_until_signal(end.server, listener)
    if end.error:
        raise wrap_error(end.error, settings.model)
    log.info("stopped")


class Loading(threading.Thread):
    """Loads the model beside the server. A failure ends the server."""

    def __init__(self, service: Service, load: EncoderLoader, end: Shutdown) -> None:
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
        log.info("ready after %.1f s: %s", time.monotonic() - start, format_model(encoders))
