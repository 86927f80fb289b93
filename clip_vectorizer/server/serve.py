"""Runs a sidecar: it listens immediately, and is ready when the model is loaded.

With `listen_when_ready` it refuses connections until then: behind a name with several addresses, clients then go to the
next address, which they do not do after a 503.
"""

import contextlib
import logging
from collections.abc import Sequence

from clip_vectorizer.images.pillow import lift_pillow_limit
from clip_vectorizer.models.captioning.catalog import load_captioner
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.catalog import load_grounder
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from clip_vectorizer.server.shutdown import GracefulServer, Shutdown, run_until_signal
from clip_vectorizer.server.startup import (
    EncoderLoader,
    LoadingThread,
    build_config,
    end_on_sigterm,
    listen,
    loading_status,
    log_address,
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
    listener = listen(settings.host, settings.port, accept=not settings.listen_when_ready)
    shutdown.server = GracefulServer(build_config(service, settings))
    loading = LoadingThread(
        load,
        settings.limits.max_batch,
        lambda encoders: use_models(service, settings, encoders),
        shutdown.stop,
        "ready",
    )
    with end_on_sigterm() if settings.listen_when_ready else contextlib.nullcontext():
        log_address(listener, settings)
        loading.start()
        if settings.listen_when_ready:
            loading.join()
    run_until_signal(shutdown.server, listener)
    if shutdown.error:
        raise wrap_error(shutdown.error, settings.model)
    log.info("stopped")


def use_models(service: Service, settings: Settings, encoders: Sequence[Encoder]) -> None:
    """Start `service` with the encoders, and what finds regions and writes captions beside them."""
    service.use(
        *encoders,
        grounder=load_grounder(settings.grounder, encoders[0]),
        captioner=load_captioner(settings.captioner, encoders[0].info.device),
    )
