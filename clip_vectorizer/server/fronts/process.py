"""One front, seen from the engine: its process, its line, its connections."""

import asyncio
import contextlib
import os
import pickle
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from clip_vectorizer.server.fronts.connections import Hand
from clip_vectorizer.server.fronts.decider import Decider
from clip_vectorizer.server.fronts.desk import Desk
from clip_vectorizer.server.fronts.line import Line
from clip_vectorizer.server.fronts.start import Start
from clip_vectorizer.server.fronts.words import NUMBER, Word

MODULE = "clip_vectorizer.server.fronts.front"
PAGE_SECONDS = 1.0  # a front that does not tell its metrics in time is counted as it last was
LINGER_SECONDS = 1.0  # a process without its line is of no use


class FrontProcess:
    def __init__(
        self,
        number: int,
        on_prepared: Callable[["FrontProcess"], None],
        totals: Callable[[], Awaitable[bytes]],
    ) -> None:
        """`number` from 1, for the log. `totals`: the metrics of all processes."""
        self.number, self.prepared, self.page = number, False, b""
        self.line = Line(self._hear, self._line_lost)
        self._on_prepared, self._totals = on_prepared, totals
        self._desk: Desk | None = None
        self._told = asyncio.Event()  # its page
        self._tasks: set[asyncio.Task[None]] = set()
        self.hand: Hand
        self.process: asyncio.subprocess.Process

    async def spawn(self, start: Start) -> None:
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
                env=environment(),
                process_group=0,
            )
        self.hand = Hand(channel)
        loop = asyncio.get_running_loop()
        loop.add_reader(self.hand, self._counted)
        await loop.create_unix_connection(lambda: self.line, sock=line)
        self.line.send(Word.START, pickle.dumps(start))

    def use(self, decider: Decider, preparer: bytes) -> None:
        self._desk = Desk(self.line, decider)
        self.line.send(Word.READY, preparer)

    async def refresh(self) -> None:
        """Asks for its metrics."""
        self._told.clear()
        self.line.send(Word.ASK_PAGE)
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
            case Word.COMING if self._desk:
                self._desk.coming(body)
            case Word.ITEM if self._desk:
                self._desk.item(body)
            case Word.GONE if self._desk:
                self._desk.gone(body)
            case Word.PREPARED:
                self.prepared = True
                self._on_prepared(self)
            case Word.PAGE:
                self.page = bytes(body)
                self._told.set()
            case Word.ASK_TOTALS:
                task = asyncio.create_task(self._tell_totals(bytes(body)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _tell_totals(self, number: bytes) -> None:
        self.line.send(Word.TOTALS, number[: NUMBER.size], await self._totals())

    def _counted(self) -> None:
        if not self.hand.closed():
            asyncio.get_running_loop().remove_reader(self.hand)

    def _line_lost(self) -> None:
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._end_lingering)

    def _end_lingering(self) -> None:
        if self.process.returncode is None:
            self.process.kill()


def environment() -> dict[str, str]:
    """Imports come from where they come from here; not from the working folder, which may hold a `random.py`.

    Each thread that decodes is one core's worth: torch shall not start others beside it.
    """
    path = os.pathsep.join(each or str(Path.cwd()) for each in sys.path)
    return {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}
