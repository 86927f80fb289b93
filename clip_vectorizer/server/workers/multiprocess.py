"""A sidecar of several processes: the model in this one, workers for HTTP and decoding.

Python runs one thing at a time in a process. A fast device needs more images than one process can decode, and more
requests than one can answer.
"""

import asyncio
import contextlib
import logging
import pickle
import signal
import socket
from collections.abc import Callable, Sequence

from clip_vectorizer.models.captioning.captioner import Captioner
from clip_vectorizer.models.captioning.catalog import load_captioner
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.catalog import choose_scorer, load_grounder
from clip_vectorizer.models.grounding.grounder import Grounder
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.captioning import DeviceCaptioning
from clip_vectorizer.server.engine import VectorCache
from clip_vectorizer.server.grounding import DeviceGrounding, DeviceRunner, DeviceScoring
from clip_vectorizer.server.metrics import Metrics
from clip_vectorizer.server.settings import Settings, build_worker_config, check_platform
from clip_vectorizer.server.shutdown import EXIT_GRACE_SECONDS, FAILURE_DRAIN_SECONDS, exit_after
from clip_vectorizer.server.startup import (
    LISTEN_BACKLOG,
    EncoderLoader,
    LoadingThread,
    listen,
    loading_status,
    log_address,
    wrap_error,
)
from clip_vectorizer.server.workers.dispatcher import Dispatcher
from clip_vectorizer.server.workers.pool import WorkerPool

log = logging.getLogger(__name__)
FAILURE_NOTICE_SECONDS = 0.5  # in which probes can read that the model is dead, before connections are refused


def serve_multiprocess(settings: Settings, load: EncoderLoader) -> None:
    """Serve until SIGTERM or SIGINT. Raises VectorizerError when it cannot listen or load, or when the model dies."""
    check_platform(settings)
    listener = listen(settings.host, settings.port, accept=not settings.listen_when_ready)
    log_address(listener, settings)
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
        self._accepting = False
        self.error: BaseException | None = None  # what ended it, if not a signal
        self.signal = 0

    async def serve(self, load: EncoderLoader) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        config = build_worker_config(self._settings, loading_status(self._settings))
        when_ready = self._settings.listen_when_ready
        on_open = self._begin_accepting if when_ready else None
        self._pool = WorkerPool(self._settings.processes, config, self._metrics, self._end, on_open)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal, number)
        max_batch = self._settings.limits.max_batch
        LoadingThread(load, max_batch, self._on_loaded, self._on_load_error, "loaded").start()
        await self._pool.start()
        if not when_ready:
            self._begin_accepting()
        await self._over.wait()
        await self._stop()

    def _begin_accepting(self) -> None:
        self._accepting = True
        self._listener.listen(LISTEN_BACKLOG)
        self._listener.setblocking(False)
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        """Accept all connections that wait."""
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            while True:
                self._pool.hand_over(self._listener.accept()[0])

    def _on_loaded(self, encoders: Sequence[Encoder]) -> None:
        """In the loading thread."""
        grounder = load_grounder(self._settings.grounder, encoders[0])
        captioner = load_captioner(self._settings.captioner, encoders[0].info.device)
        infos = grounder.info if grounder else None, captioner.info if captioner else None
        self._call_in_loop(self._use, encoders, grounder, captioner, pickle.dumps((encoders[0].preparer, *infos)))

    def _on_load_error(self, error: BaseException) -> None:
        """In the loading thread."""
        self._call_in_loop(self._end, error)

    def _call_in_loop(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the sidecar was stopped meanwhile
            self._loop.call_soon_threadsafe(function, *arguments)

    def _use(
        self, encoders: Sequence[Encoder], grounder: Grounder | None, captioner: Captioner | None, ready: bytes
    ) -> None:
        limits = self._settings.limits
        batcher = Batcher(encoders, limits.max_batch, self._metrics.batch, self._on_death, limits.hang_seconds)
        runner = DeviceRunner(batcher, self._metrics.grounding)
        grounding = DeviceGrounding(grounder, runner) if grounder else None
        scoring = DeviceScoring(choose_scorer(grounder, encoders[0]), runner)
        captioning = DeviceCaptioning(captioner, batcher, self._metrics.captioning) if captioner else None
        dispatcher = Dispatcher(batcher, VectorCache(limits.cache_bytes), grounding, captioning, scoring)
        self._metrics.watch_model(batcher, dispatcher.cache, encoders[0].info)
        self._pool.use(dispatcher, ready)

    def _on_death(self, error: BaseException) -> None:
        """End after the workers have. A thread that hangs in a device's driver must not keep this process alive."""
        exit_after(FAILURE_NOTICE_SECONDS + FAILURE_DRAIN_SECONDS + 2 * EXIT_GRACE_SECONDS, 1, f"error: {error}")
        self._pool.refuse(f"the model's worker died ({error}); this sidecar ends")
        self._loop.call_later(FAILURE_NOTICE_SECONDS, self._end, error)

    def _end(self, error: BaseException) -> None:
        """The first error counts."""
        self.error = self.error or error
        self._over.set()

    def _on_signal(self, number: int) -> None:
        """The first signal lets requests in flight finish within their deadline, the second ends everything."""
        if self.signal:
            self._loop.remove_signal_handler(number)
            signal.raise_signal(number)
        self.signal = number
        self._over.set()

    async def _stop(self) -> None:
        """Serve all who have connected; workers get the end of the channel after their last connections."""
        if self._accepting:
            self._accept()
            self._loop.remove_reader(self._listener)
        self._listener.close()
        drain = FAILURE_DRAIN_SECONDS if self.error else self._settings.limits.deadline_seconds
        await self._pool.stop(drain + EXIT_GRACE_SECONDS)
