"""Runs a sidecar: it listens immediately, and is ready when the model is loaded."""

import logging

from clip_vectorizer import __version__
from clip_vectorizer.images.pillow import lift_pillow_limit
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from clip_vectorizer.server.shutdown import GracefulServer, Shutdown, run_until_signal
from clip_vectorizer.server.startup import (
    EncoderLoader,
    LoadingThread,
    build_config,
    format_url,
    listen,
    loading_status,
    wrap_error,
)
from clip_vectorizer.server.workers.multiprocess import serve_multiprocess

log = logging.getLogger(__name__)


def serve(settings: Settings, load: EncoderLoader) -> None:
    """Serve until SIGTERM or SIGINT. Raises VectorizerError when it cannot listen or load.

    An entry point: it lifts Pillow's limit of pixels for the process, since the sidecar has a limit of its own.
    """
    lift_pillow_limit()
    if settings.processes > 1:
        return serve_multiprocess(settings, load)
    shutdown = Shutdown()
    service = Service(settings.limits, settings.decode_threads, shutdown.fail)
    service.status = loading_status(settings)
    listener = listen(settings.host, settings.port)
    log.info("clip-vectorizer %s listens on %s", __version__, format_url(listener))
    shutdown.server = GracefulServer(build_config(service, settings))
    LoadingThread(
        load, settings.limits.max_batch, lambda encoders: service.use(*encoders), shutdown.stop, "ready"
    ).start()
    run_until_signal(shutdown.server, listener)
    if shutdown.error:
        raise wrap_error(shutdown.error, settings.model)
    log.info("stopped")
