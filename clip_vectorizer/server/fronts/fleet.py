"""All fronts: started, given connections, replaced when they die, drained at the end."""

import asyncio
import logging
import signal
import socket
import time
from collections import deque
from collections.abc import Callable

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.server.fronts.decider import Decider
from clip_vectorizer.server.fronts.process import FrontProcess
from clip_vectorizer.server.fronts.start import Start
from clip_vectorizer.server.fronts.totals import summed
from clip_vectorizer.server.fronts.words import Word
from clip_vectorizer.server.metrics import Metrics

log = logging.getLogger(__name__)
DEATHS, DEATHS_SECONDS = 5, 60.0  # more deaths than that within that time, and something is wrong with all of them
RETRY_SECONDS = 0.05


class Fleet:
    """Invariant: while it is not stopping, there are `count` fronts, or one that died is being replaced."""

    def __init__(self, count: int, start: Start, metrics: Metrics, on_failure: Callable[[BaseException], None]) -> None:
        """`on_failure` hears when fronts die faster than it is worth starting others."""
        self._count, self._start, self._metrics, self._on_failure = count, start, metrics, on_failure
        self._fronts: list[FrontProcess] = []
        self._watches: set[asyncio.Task[None]] = set()
        self._deaths: deque[float] = deque(maxlen=DEATHS + 1)
        self._model: tuple[Decider, bytes] | None = None
        self._open = self._stopping = False
        self._last_words = b""  # metrics of fronts that ended

    async def start(self) -> None:
        for number in range(1, self._count + 1):
            await self._add(number)

    def use(self, decider: Decider, preparer: bytes) -> None:
        """The model is there; `preparer` is pickled. Nobody is ready before all are."""
        self._model = decider, preparer
        for front in self._fronts:
            front.use(decider, preparer)

    def refuse(self, sentence: str) -> None:
        """There is no model any more; what ends now is not replaced."""
        self._stopping = True
        for front in self._fronts:
            front.line.send(Word.REFUSE, sentence.encode())

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
        return await asyncio.to_thread(summed, pages, self._last_words)

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
        front = FrontProcess(number, self._prepared, self.totals)
        await front.spawn(self._start)
        self._fronts.append(front)
        if self._model:
            front.use(*self._model)
        watch = asyncio.create_task(self._watch(front))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)

    def _prepared(self, front: FrontProcess) -> None:
        log.info("process %d in front is prepared, pid %d", front.number, front.process.pid)
        if self._open:
            front.line.send(Word.OPEN)
        elif len(self._fronts) == self._count and all(each.prepared for each in self._fronts):
            self._open = True
            for each in self._fronts:
                each.line.send(Word.OPEN)
            log.info("ready: %d processes in front", self._count)

    async def _watch(self, front: FrontProcess) -> None:
        code = await front.process.wait()
        self._fronts.remove(front)
        front.close()
        self._last_words = summed([], summed([self._last_words, front.page]))
        if not self._stopping:
            await self._replace(front.number, code)

    async def _replace(self, number: int, code: int) -> None:
        self._deaths.append(time.monotonic())
        if len(self._deaths) > DEATHS and self._deaths[-1] - self._deaths[0] < DEATHS_SECONDS:
            sentence = f"processes in front died {len(self._deaths)} times in {DEATHS_SECONDS:.0f} seconds"
            self._on_failure(VectorizerError(f"{sentence}, the last with {ending(code)}; the lines above say why"))
            return
        log.error("process %d in front ended with %s; what it had in hand is lost", number, ending(code))
        await self._add(number)


def ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
