"""The pool of worker processes: starts them, gives them connections, replaces those that die, stops them.

Each is a `WorkerProcess`: its process, its stream of messages, its connections.
"""

import asyncio
import contextlib
import logging
import os
import pickle
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.server.metrics import Metrics, sum_pages
from clip_vectorizer.server.settings import WorkerConfig
from clip_vectorizer.server.workers.dispatcher import Dispatcher, WorkerSession
from clip_vectorizer.server.workers.ipc import NUMBER_STRUCT, FrameStream, MessageType
from clip_vectorizer.server.workers.picture_frames import PictureSession
from clip_vectorizer.server.workers.socket_passing import ConnectionSender

DEATHS, DEATHS_SECONDS = 5, 60.0  # more deaths in that time have a common cause, and the sidecar gives up
RETRY_SECONDS = 0.05
MODULE = "clip_vectorizer.server.workers.worker"
PAGE_SECONDS = 1.0  # a worker that does not send its metrics in time is counted as it last was
LINGER_SECONDS = 1.0  # how long a process without its stream may take to end

log = logging.getLogger(__name__)


class WorkerPool:
    """Invariant: until it stops, there are `count` workers, or one that died is being replaced."""

    def __init__(
        self,
        count: int,
        config: WorkerConfig,
        metrics: Metrics,
        on_failure: Callable[[BaseException], None],
        on_open: Callable[[], None] | None = None,
    ) -> None:
        """`on_failure` is called when workers die faster than it is worth to replace them, `on_open` when all are
        ready."""
        self._count, self._config, self._metrics, self._on_failure = count, config, metrics, on_failure
        self._on_open = on_open
        self._workers: list[WorkerProcess] = []
        self._watches: set[asyncio.Task[None]] = set()
        self._deaths: deque[float] = deque(maxlen=DEATHS + 1)
        self._model: tuple[Dispatcher, bytes] | None = None
        self._open = self._stopping = False
        self._ended_metrics = b""  # of workers that ended

    async def start(self) -> None:
        for number in range(1, self._count + 1):
            await self._add(number)

    def use(self, dispatcher: Dispatcher, preparer: bytes) -> None:
        """The model is loaded; `preparer` is pickled. Readiness is all-or-nothing."""
        self._model = dispatcher, preparer
        for worker in self._workers:
            worker.use(dispatcher, preparer)

    def refuse(self, message: str) -> None:
        """The model is lost: workers answer 503 with `message`, and are no longer replaced."""
        self._stopping = True
        for worker in self._workers:
            worker.stream.send(MessageType.REFUSE, message.encode())

    def hand_over(self, connection: socket.socket) -> None:
        """Send it to the worker with the fewest connections; workers that are prepared come first."""
        for worker in sorted(self._workers, key=lambda worker: (not worker.prepared, worker.connections.count)):
            if worker.connections.send(connection):
                connection.close()
                return
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self.hand_over, connection)

    async def totals(self) -> bytes:
        """The metrics of all processes, including those that ended."""
        workers = list(self._workers)
        await asyncio.gather(*(worker.refresh() for worker in workers))
        pages = [self._metrics.page(), *(worker.page for worker in workers)]
        return await asyncio.to_thread(sum_pages, pages, self._ended_metrics)

    async def stop(self, seconds: float) -> None:
        """Workers finish their requests and end; after `seconds` they are killed."""
        self._stopping = True
        for worker in self._workers:
            worker.send_signal(signal.SIGTERM)
        if self._watches:
            await asyncio.wait(self._watches, timeout=seconds)
        self.kill()
        if self._watches:
            await asyncio.wait(self._watches)

    def kill(self) -> None:
        for worker in self._workers:
            worker.send_signal(signal.SIGKILL)

    async def _add(self, number: int) -> None:
        worker = WorkerProcess(number, self._on_prepared, self.totals)
        await worker.spawn(self._config)
        self._workers.append(worker)
        if self._model:
            worker.use(*self._model)
        watch = asyncio.create_task(self._watch(worker))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    def _on_prepared(self, worker: "WorkerProcess") -> None:
        log.info("worker process %d is prepared, pid %d", worker.number, worker.process.pid)
        if self._open:
            worker.stream.send(MessageType.OPEN)
        elif len(self._workers) == self._count and all(each.prepared for each in self._workers):
            self._open = True
            for each in self._workers:
                each.stream.send(MessageType.OPEN)
            if self._on_open:
                self._on_open()
            log.info("ready: %d worker processes", self._count)

    async def _watch(self, worker: "WorkerProcess") -> None:
        code = await worker.process.wait()
        self._workers.remove(worker)
        worker.close()
        self._ended_metrics = sum_pages([], sum_pages([self._ended_metrics, worker.page]))
        if not self._stopping:
            await self._replace(worker.number, code)

    async def _replace(self, number: int, code: int) -> None:
        self._deaths.append(time.monotonic())
        if len(self._deaths) > DEATHS and self._deaths[-1] - self._deaths[0] < DEATHS_SECONDS:
            message = f"worker processes died {len(self._deaths)} times in {DEATHS_SECONDS:.0f} seconds"
            self._on_failure(
                VectorizerError(f"{message}, the last with {format_exit(code)}; the log lines above give the reason")
            )
            return
        log.error("worker process %d ended with %s; its requests are lost", number, format_exit(code))
        await self._add(number)


def format_exit(code: int) -> str:
    """
    >>> format_exit(-9), format_exit(1)
    ('signal 9', 'exit code 1')
    """
    return f"signal {-code}" if code < 0 else f"exit code {code}"


class WorkerProcess:
    """One worker, seen from the model's process."""

    def __init__(
        self,
        number: int,
        on_prepared: Callable[["WorkerProcess"], None],
        totals: Callable[[], Awaitable[bytes]],
    ) -> None:
        """`number` from 1, for the log. `totals`: the metrics of all processes."""
        self.number, self.prepared, self.page = number, False, b""
        self.stream = FrameStream(self._receive, self._kill_soon)
        self._on_prepared, self._totals = on_prepared, totals
        self._session: WorkerSession | None = None
        self._pictures: PictureSession | None = None
        self._page_received = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections: ConnectionSender
        self.process: asyncio.subprocess.Process

    async def spawn(self, config: WorkerConfig) -> None:
        """Start the process. It ends with this one, even if this one is killed: its standard input ends then.

        It has a process group of its own: Ctrl-C reaches this process alone, which then stops its workers in order.
        """
        stream, worker_stream = socket.socketpair()
        channel, worker_channel = socket.socketpair()
        with worker_stream, worker_channel:
            sockets = (worker_stream.fileno(), worker_channel.fileno())
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE, *map(str, sockets)),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=sockets,
                env=worker_environment(),
                process_group=0,
            )
        self.connections = ConnectionSender(channel)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.connections, self._count_closed)
        await loop.create_unix_connection(lambda: self.stream, sock=stream)
        self.stream.send(MessageType.START, pickle.dumps(config))

    def use(self, dispatcher: Dispatcher, preparer: bytes) -> None:
        self._session = WorkerSession(self.stream, dispatcher)
        if dispatcher.grounding or dispatcher.captioning or dispatcher.scoring:
            self._pictures = PictureSession(
                self.stream, dispatcher.grounding, dispatcher.captioning, dispatcher.scoring
            )
        self.stream.send(MessageType.READY, preparer)

    async def refresh(self) -> None:
        """Update `page`, its metrics."""
        self._page_received.clear()
        self.stream.send(MessageType.ASK_PAGE)
        with contextlib.suppress(TimeoutError):  # it is starting, or gone
            await asyncio.wait_for(self._page_received.wait(), PAGE_SECONDS)

    def send_signal(self, number: int) -> None:
        """No effect if the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def close(self) -> None:
        """After the end of the process: remove all its items from the queue."""
        asyncio.get_running_loop().remove_reader(self.connections)
        self.connections.close()
        self.stream.close()
        self._page_received.set()
        if self._session:
            self._session.close()
        if self._pictures:
            self._pictures.close()

    def _receive(self, message: int, body: bytearray) -> None:
        match message:
            case MessageType.COMING if self._session:
                self._session.coming(body)
            case MessageType.ITEM if self._session:
                self._session.item(body)
            case MessageType.GONE if self._session:
                self._session.gone(body)
            case MessageType.GROUND if self._pictures:
                self._pictures.start(body)
            case MessageType.GROUND_GONE if self._pictures:
                self._pictures.gone(body)
            case MessageType.PREPARED:
                self.prepared = True
                self._on_prepared(self)
            case MessageType.PAGE:
                self.page = bytes(body)
                self._page_received.set()
            case MessageType.ASK_TOTALS:
                task = asyncio.create_task(self._send_totals(bytes(body)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _send_totals(self, number: bytes) -> None:
        self.stream.send(MessageType.TOTALS, number[: NUMBER_STRUCT.size], await self._totals())

    def _count_closed(self) -> None:
        if not self.connections.read_closed():
            asyncio.get_running_loop().remove_reader(self.connections)

    def _kill_soon(self) -> None:
        """The stream is lost: the process is of no use any more."""
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._kill)

    def _kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


def worker_environment() -> dict[str, str]:
    """The environment of a worker: imports from the same places as here, one thread of torch per decoding thread.

    Imports do not come from the working folder, which may hold a `random.py`.
    """
    path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
