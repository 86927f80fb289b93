"""Queues: items that wait for the model, and fair turns between requests.

Many owners (requests) wait for few places, and take turns: a request of 256 images and a request of one then finish
in the order that a person would expect.

D dimensions
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
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """A unit row (D,) and its cost: seconds in the queue, and of the batch that it was in."""

    vector: Vectors
    queue_seconds: float = 0.0
    encode_seconds: float = 0.0
    cached: bool = False  # from a cache


@dataclass(frozen=True, slots=True)
class QueuedItem:
    item: Any
    row: "asyncio.Future[EmbeddingResult]"
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class BatchStats:
    """Measurements of one batch, for the metrics."""

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
        """Remove the next items whose callers still wait, `limit` at most."""
        batch: list[QueuedItem] = []
        while self.waiting and len(batch) < limit:
            item = self.waiting.pop()
            if not item.row.done():  # done: the client left, or its deadline passed
                batch.append(item)
        return batch


class FairQueue(Generic[ItemT]):
    """First in, first out for each owner; owners take turns.

    >>> queue = FairQueue()
    >>> for owner, item in [("a", 1), ("a", 2), ("b", 3)]:
    ...     queue.push(owner, item)
    >>> [queue.pop() for _ in range(3)]
    [1, 3, 2]
    """

    def __init__(self) -> None:
        self._queues: dict[object, deque[ItemT]] = {}  # by owner, in the order of their turns
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, owner: object, item: ItemT) -> None:
        self._queues.setdefault(owner, deque()).append(item)
        self._length += 1

    def pop(self) -> ItemT:
        """Remove the oldest item of the owner whose turn it is. Raises StopIteration when empty."""
        owner = next(iter(self._queues))
        queue = self._queues.pop(owner)
        item = queue.popleft()
        if queue:
            self._queues[owner] = queue  # at the end: every other owner comes first
        self._length -= 1
        return item


class FairPool:
    """An executor of `places` threads whose work is started in fair turns."""

    def __init__(self, executor: Executor, places: int) -> None:
        self._executor, self._free = executor, places
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue()

    async def run(self, owner: object, work: Callable[..., ResultT], *arguments: object) -> ResultT:
        """The result of `work`. A cancelled call before its turn frees its place; a thread that runs continues."""
        await self._wait_for_turn(owner)
        job = asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
        job.add_done_callback(self._on_done)
        return await asyncio.shield(job)  # if the job were cancelled, its place would be free while its thread runs

    async def _wait_for_turn(self, owner: object) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.push(owner, turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted, and cancelled before it resumed
                self._release()
            raise

    def _on_done(self, job: "asyncio.Future[ResultT]") -> None:
        if not job.cancelled():
            job.exception()  # asyncio logs exceptions that are never retrieved, as of a caller that left
        self._release()

    def _release(self) -> None:
        self._free += 1
        self._grant()

    def _grant(self) -> None:
        while self._free and self._waiting:
            turn = self._waiting.pop()
            if not turn.done():  # done: its caller left
                self._free -= 1
                turn.set_result(None)
