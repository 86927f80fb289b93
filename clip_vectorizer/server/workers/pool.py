"""All fronts: started, given connections, replaced when they die, drained at the end.

One front, seen from the engine: its process, its line, its connections.
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
from clip_vectorizer.server.workers.socket_passing import ConnectionSender

DEATHS, DEATHS_SECONDS = 5, 60.0  # more deaths than that within that time, and something is wrong with all of them
RETRY_SECONDS = 0.05
MODULE = "clip_vectorizer.server.workers.worker"
PAGE_SECONDS = 1.0  # a front that does not tell its metrics in time is counted as it last was
LINGER_SECONDS = 1.0  # a process without its line is of no use

log = logging.getLogger(__name__)


class WorkerProcess:
    def __init__(
        self,
        number: int,
        on_prepared: Callable[["WorkerProcess"], None],
        totals: Callable[[], Awaitable[bytes]],
    ) -> None:
        """`number` from 1, for the log. `totals`: the metrics of all processes."""
        self.number, self.prepared, self.page = number, False, b""
        self.line = FrameStream(self._hear, self._line_lost)
        self._on_prepared, self._totals = on_prepared, totals
        self._desk: WorkerSession | None = None
        self._told = asyncio.Event()  # its page
        self._tasks: set[asyncio.Task[None]] = set()
        self.hand: ConnectionSender
        self.process: asyncio.subprocess.Process

    async def spawn(self, start: WorkerConfig) -> None:
        """It ends with this process, even if this is killed: its standard input ends then.

        In a process group of its own, for a Ctrl-C is told to this process, which then has it drain.
        """
        line, their_line = socket.socketpair()
        channel, their_channel = socket.socketpair()
        with their_line, their_channel:
            sockets = (their_line.fileno(), their_channel.fileno())
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE, *map(str, sockets)),
                stdin=asyncio.subprocess.PIPE,
                pass_fds=sockets,
                env=worker_environment(),
                process_group=0,
            )
        self.hand = ConnectionSender(channel)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.hand, self._counted)
        await loop.create_unix_connection(lambda: self.line, sock=line)
        self.line.send(MessageType.START, pickle.dumps(start))

    def use(self, decider: Dispatcher, preparer: bytes) -> None:
        self._desk = WorkerSession(self.line, decider)
        self.line.send(MessageType.READY, preparer)

    async def refresh(self) -> None:
        """Asks for its metrics."""
        self._told.clear()
        self.line.send(MessageType.ASK_PAGE)
        with contextlib.suppress(TimeoutError):  # it starts, or is gone
            await asyncio.wait_for(self._told.wait(), PAGE_SECONDS)

    def end(self, number: int) -> None:
        """Sends the signal `number`, if the process is still there."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def close(self) -> None:
        """After its end: nothing of it stays in the queue."""
        asyncio.get_running_loop().remove_reader(self.hand)
        self.hand.close()
        self.line.close()
        self._told.set()
        if self._desk:
            self._desk.close()

    def _hear(self, word: int, body: bytearray) -> None:
        match word:
            case MessageType.COMING if self._desk:
                self._desk.coming(body)
            case MessageType.ITEM if self._desk:
                self._desk.item(body)
            case MessageType.GONE if self._desk:
                self._desk.gone(body)
            case MessageType.PREPARED:
                self.prepared = True
                self._on_prepared(self)
            case MessageType.PAGE:
                self.page = bytes(body)
                self._told.set()
            case MessageType.ASK_TOTALS:
                task = asyncio.create_task(self._tell_totals(bytes(body)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _tell_totals(self, number: bytes) -> None:
        self.line.send(MessageType.TOTALS, number[: NUMBER_STRUCT.size], await self._totals())

    def _counted(self) -> None:
        if not self.hand.closed():
            asyncio.get_running_loop().remove_reader(self.hand)

    def _line_lost(self) -> None:
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._end_lingering)

    def _end_lingering(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


class WorkerPool:
    """Invariant: while it is not stopping, there are `count` fronts, or one that died is being replaced."""

    def __init__(
        self, count: int, start: WorkerConfig, metrics: Metrics, on_failure: Callable[[BaseException], None]
    ) -> None:
        """`on_failure` hears when fronts die faster than it is worth starting others."""
        self._count, self._start, self._metrics, self._on_failure = count, start, metrics, on_failure
        self._fronts: list[WorkerProcess] = []
        self._watches: set[asyncio.Task[None]] = set()
        self._deaths: deque[float] = deque(maxlen=DEATHS + 1)
        self._model: tuple[Dispatcher, bytes] | None = None
        self._open = self._stopping = False
        self._last_words = b""  # metrics of fronts that ended

    async def start(self) -> None:
        for number in range(1, self._count + 1):
            await self._add(number)

    def use(self, decider: Dispatcher, preparer: bytes) -> None:
        """The model is there; `preparer` is pickled. Nobody is ready before all are."""
        self._model = decider, preparer
        for front in self._fronts:
            front.use(decider, preparer)

    def refuse(self, sentence: str) -> None:
        """There is no model any more; what ends now is not replaced."""
        self._stopping = True
        for front in self._fronts:
            front.line.send(MessageType.REFUSE, sentence.encode())

    def hand_over(self, connection: socket.socket) -> None:
        """To the front with the fewest, of those that can answer if there are any."""
        for front in sorted(self._fronts, key=lambda front: (not front.prepared, front.hand.count)):
            if front.hand.over(connection):
                connection.close()
                return
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self.hand_over, connection)

    async def totals(self) -> bytes:
        """The metrics of all processes, those that ended included."""
        fronts = list(self._fronts)
        await asyncio.gather(*(front.refresh() for front in fronts))
        pages = [self._metrics.page(), *(front.page for front in fronts)]
        return await asyncio.to_thread(sum_pages, pages, self._last_words)

    async def stop(self, seconds: float) -> None:
        """Every front answers what it has been asked and ends; after `seconds` it ends in any case."""
        self._stopping = True
        for front in self._fronts:
            front.end(signal.SIGTERM)
        if self._watches:
            await asyncio.wait(self._watches, timeout=seconds)
        self.kill()
        if self._watches:
            await asyncio.wait(self._watches)

    def kill(self) -> None:
        for front in self._fronts:
            front.end(signal.SIGKILL)

    async def _add(self, number: int) -> None:
        front = WorkerProcess(number, self._prepared, self.totals)
        await front.spawn(self._start)
        self._fronts.append(front)
        if self._model:
            front.use(*self._model)
        watch = asyncio.create_task(self._watch(front))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    def _prepared(self, front: WorkerProcess) -> None:
        log.info("process %d in front is prepared, pid %d", front.number, front.process.pid)
        if self._open:
            front.line.send(MessageType.OPEN)
        elif len(self._fronts) == self._count and all(each.prepared for each in self._fronts):
            self._open = True
            for each in self._fronts:
                each.line.send(MessageType.OPEN)
            log.info("ready: %d processes in front", self._count)

    async def _watch(self, front: WorkerProcess) -> None:
        code = await front.process.wait()
        self._fronts.remove(front)
        front.close()
        self._last_words = sum_pages([], sum_pages([self._last_words, front.page]))
        if not self._stopping:
            await self._replace(front.number, code)

    async def _replace(self, number: int, code: int) -> None:
        self._deaths.append(time.monotonic())
        if len(self._deaths) > DEATHS and self._deaths[-1] - self._deaths[0] < DEATHS_SECONDS:
            sentence = f"processes in front died {len(self._deaths)} times in {DEATHS_SECONDS:.0f} seconds"
            self._on_failure(VectorizerError(f"{sentence}, the last with {format_exit(code)}; the lines above say why"))
            return
        log.error("process %d in front ended with %s; what it had in hand is lost", number, format_exit(code))
        await self._add(number)


def format_exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def worker_environment() -> dict[str, str]:
    """Imports come from where they come from here; not from the working folder, which may hold a `random.py`.

    Each thread that decodes is one core's worth: torch shall not start others beside it.
    """
    path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
