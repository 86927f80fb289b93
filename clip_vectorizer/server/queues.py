"""Items that wait for the model, and the rows they get.

D dimensions

Fair turns: many owners (requests) wait for few places, and each owner gets one in its turn.

A request of 256 images and a request of one then finish in the order in which a person would expect.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from clip_vectorizer.vectors import Vectors

ItemKind = Literal["text", "image"]
ITEM_KINDS: tuple[ItemKind, ...] = ("text", "image")


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """A unit row (D,) and what it took: seconds in the queue, and of the pass it was in."""

    vector: Vectors
    queue_seconds: float = 0.0
    encode_seconds: float = 0.0
    cached: bool = False  # no pass was run for it


@dataclass(frozen=True, slots=True)
class QueuedItem:
    item: Any
    row: "asyncio.Future[EmbeddingResult]"
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class BatchStats:
    """What one pass was: for whoever counts."""

    kind: ItemKind
    size: int
    seconds: float
    waits_seconds: tuple[float, ...]


class ItemQueue:
    """Items of one kind: those that wait, and tickets of those that are being prepared."""

    def __init__(self, kind: ItemKind) -> None:
        self.kind = kind
        self.waiting: FairQueue[QueuedItem] = FairQueue()
        self.coming: set[object] = set()

    def take(self, limit: int) -> list[QueuedItem]:
        """The next items whose callers are still there, at most `limit`."""
        batch: list[QueuedItem] = []
        while self.waiting and len(batch) < limit:
            item = self.waiting.pop()
            if not item.row.done():  # done: the client went away, or its deadline passed
                batch.append(item)
        return batch


ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


class FairQueue(Generic[ItemT]):
    """First in, first out for each owner; owners take turns."""

    def __init__(self) -> None:
        self._lines: dict[object, deque[ItemT]] = {}  # in the order of their turns
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, owner: object, item: ItemT) -> None:
        self._lines.setdefault(owner, deque()).append(item)
        self._length += 1

    def pop(self) -> ItemT:
        """The oldest item of the owner whose turn it is. Raises StopIteration when empty."""
        owner = next(iter(self._lines))
        line = self._lines.pop(owner)
        item = line.popleft()
        if line:
            self._lines[owner] = line  # at the end: every other owner comes first
        self._length -= 1
        return item


class FairPool:
    """An executor of `places` threads whose work is taken in fair turns."""

    def __init__(self, executor: Executor, places: int) -> None:
        self._executor, self._free = executor, places
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    async def run(self, owner: object, work: Callable[..., ResultT], *arguments: object) -> ResultT:
        """What `work` gives. A caller that leaves before its turn frees its place; a thread that runs goes on."""
        await self._place(owner)
        job = asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        job.add_done_callback(self._done)
        return await asyncio.shield(job)  # cancelled alone, the place would be free while its thread is not

    async def _place(self, owner: object) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(owner, turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted, and cancelled before it woke
                self._give_back()
            raise

    def _done(self, job: "asyncio.Future[ResultT]") -> None:
        if not job.cancelled():
            job.exception()  # a caller that left will not look at it, and asyncio would complain
        self._give_back()

    def _give_back(self) -> None:
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        while self._free and self._waiting:
            turn = self._waiting.pop()
            if not turn.done():  # done: its caller left
                self._free -= 1
                turn.set_result(None)
