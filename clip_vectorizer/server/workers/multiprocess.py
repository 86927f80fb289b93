"""A sidecar of several processes: the model in this one, fronts before it that speak HTTP and decode.

Python runs one thing at a time in a process; a fast device needs more pictures than one process can decode and more
requests than one can answer.
"""

import asyncio
import contextlib
import logging
import pickle
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence

from clip_vectorizer import __version__
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.cache import VectorCache
from clip_vectorizer.server.metrics import Metrics
from clip_vectorizer.server.settings import Settings, build_worker_config, check_platform
from clip_vectorizer.server.shutdown import EXIT_GRACE_SECONDS, FAILURE_DRAIN_SECONDS, exit_after
from clip_vectorizer.server.startup import EncoderLoader, format_model, format_url, listen, warm_up, wrap_error
from clip_vectorizer.server.workers.dispatcher import Dispatcher
from clip_vectorizer.server.workers.pool import WorkerPool

FAILURE_NOTICE_SECONDS = 0.5  # in which a probe hears that the model is dead, before nobody answers

log = logging.getLogger(__name__)


def serve_multiprocess(settings: Settings, load: EncoderLoader) -> None:
    """Serves until SIGTERM or SIGINT. Raises VectorizerError when it cannot listen or load, or when the model dies."""
    check_platform(settings)
    listener = listen(settings.host, settings.port)
    log.info("clip-vectorizer %s listens on %s", __version__, format_url(listener))
    sidecar = MultiprocessSidecar(settings, listener)
    asyncio.run(sidecar.serve(load))
    if sidecar.error:
        raise wrap_error(sidecar.error, settings.model)
    if sidecar.signal == signal.SIGINT:
        raise KeyboardInterrupt
    log.info("stopped")


class MultiprocessSidecar:
    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings, self._listener = settings, listener
        self._metrics = Metrics()
        self.error: BaseException | None = None  # what ended it, where it was not a signal
        self.signal = 0

    async def serve(self, load: EncoderLoader) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        start = build_worker_config(self._settings, f"loading {self._settings.model}; ask again in a moment")
        self._fleet = WorkerPool(self._settings.processes, start, self._metrics, self._end)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled, number)
        threading.Thread(target=self._load, args=(load,), name="loading", daemon=True).start()
        await self._fleet.start()
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)
        await self._over.wait()
        await self._stop()

    def _accept(self) -> None:
        """All that wait."""
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                self._fleet.hand_over(self._listener.accept()[0])

    def _load(self, load: EncoderLoader) -> None:
        """In a thread, which a stop does not wait for."""
        start = time.monotonic()
        try:
            encoders = load()
            for encoder in encoders:
                warm_up(encoder, self._settings.limits.max_batch)
            preparer = pickle.dumps(encoders[0].preparer)
        except Exception as error:
            self._tell(self._end, error)
            return
        log.info("loaded after %.1f s: %s", time.monotonic() - start, format_model(encoders))
        self._tell(self._use, encoders, preparer)

    def _tell(self, hear: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: it was stopped meanwhile
            self._loop.call_soon_threadsafe(hear, *arguments)

    def _use(self, encoders: Sequence[Encoder], preparer: bytes) -> None:
        limits = self._settings.limits
        batcher = Batcher(encoders, limits.max_batch, self._metrics.batch, self._died, limits.hang_seconds)
        decider = Dispatcher(batcher, VectorCache(limits.cache_bytes))
        self._metrics.watch_model(batcher.depth, decider.cache, encoders[0].info)
        self._fleet.use(decider, preparer)

    def _died(self, error: BaseException) -> None:
        """The fronts end in time; a thread that hangs in a device's driver must not keep this process."""
        exit_after(FAILURE_NOTICE_SECONDS + FAILURE_DRAIN_SECONDS + 2 * EXIT_GRACE_SECONDS, 1, f"error: {error}")
        self._fleet.refuse(f"the model's worker died ({error}); this sidecar ends")
        self._loop.call_later(FAILURE_NOTICE_SECONDS, self._end, error)

    def _end(self, error: BaseException) -> None:
        """The first reason counts."""
        self.error = self.error or error
        self._over.set()

    def _signalled(self, number: int) -> None:
        """The first lets requests in flight finish within their deadline, the second ends all at once."""
        if self.signal:
            self._loop.remove_signal_handler(number)
            signal.raise_signal(number)
        self.signal = number
        self._over.set()

    async def _stop(self) -> None:
        """Whoever has connected is served; fronts hear of the end after their last connections."""
        self._accept()
        self._loop.remove_reader(self._listener)
        self._listener.close()
        drain = FAILURE_DRAIN_SECONDS if self.error else self._settings.limits.deadline_seconds
        await self._fleet.stop(drain + EXIT_GRACE_SECONDS)
