"""Micro-batches across requests: whatever waits when a device frees up goes through together.

No timer. Items that are being prepared when the device is free are waited for, for they are known to come; a lone
request never waits for company. Texts and images wait in lanes that take turns, so a text waits for one batch of
images at most.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import Encoder, PreparedText
from clip_vectorizer.server.device import Answer, Device
from clip_vectorizer.server.fair import FairQueue
from clip_vectorizer.vectors import Pixels, Vectors

Kind = Literal["text", "image"]


@dataclass(frozen=True, slots=True)
class Row:
    """A unit row (D,) and what it took: seconds in the queue, and of the pass it was in."""

    vector: Vectors
    queue_seconds: float = 0.0
    encode_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Waiting:
    item: Any
    row: "asyncio.Future[Row]"
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one pass was: for whoever counts."""

    kind: Kind
    size: int
    seconds: float
    waits_seconds: tuple[float, ...]


class Lane:
    """Items of one kind: those that wait, and tickets of those that are being prepared."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.waiting: FairQueue[Waiting] = FairQueue()
        self.coming: set[object] = set()

    def take(self, limit: int) -> list[Waiting]:
        """The next items whose callers are still there, at most `limit`."""
        batch: list[Waiting] = []
        while self.waiting and len(batch) < limit:
            item = self.waiting.pop()
            if not item.row.done():  # done: the client went away, or its deadline passed
                batch.append(item)
        return batch


class Batcher:
    """One worker a device, all fed from the same lanes. Every caller gets exactly one answer for its item."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        max_batch: int,
        observe: Callable[[Batch], None] = lambda _batch: None,
        on_death: Callable[[BaseException], None] = lambda _error: None,
        hang_seconds: float = 300.0,
    ) -> None:
        """`on_death` hears when a device can serve no more: its worker died, or a pass took over `hang_seconds`."""
        self._max_batch, self._observe, self._on_death = max_batch, observe, on_death
        self._hang_seconds = hang_seconds
        self._lanes: dict[Kind, Lane] = {"text": Lane("text"), "image": Lane("image")}
        self._turns = deque(self._lanes.values())
        self._idle = deque(Device(encoder, number) for number, encoder in enumerate(encoders))
        self._workers: set[asyncio.Task[None]] = set()
        self._changed: asyncio.Event = asyncio.Event()
        self.death: BaseException | None = None

    def depth(self, kind: Kind) -> int:
        return len(self._lanes[kind].waiting)

    @contextmanager
    def announced(self, kind: Kind) -> Iterator[None]:
        """While an item is being prepared that will be handed in right after."""
        lane, ticket = self._lanes[kind], object()
        lane.coming.add(ticket)
        try:
            yield
        finally:
            lane.coming.discard(ticket)
            self._changed.set()

    async def encode(self, kind: Kind, owner: object, item: PreparedText | Pixels) -> Row:
        """Raises EncoderFailed for what the model cannot do, and for everything once a device is dead."""
        if self.death is not None:
            raise dead(self.death)
        waiting = Waiting(item, asyncio.get_running_loop().create_future())
        self._lanes[kind].waiting.push(owner, waiting)
        self._changed.set()
        if self._idle:
            worker = asyncio.create_task(self._work(self._idle.popleft()))
            self._workers.add(worker)
            worker.add_done_callback(self._ended)
        return await waiting.row

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """A worker ends when nothing waits; one that ends by an error must not leave its callers waiting."""
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()):
            self._die(error)

    async def _work(self, device: Device) -> None:
        """Runs while anything waits."""
        while self.death is None and (lane := self._next_lane()):
            await self._company(lane)
            if batch := lane.take(self._max_batch):
                await self._pass(device, lane.kind, batch)
        self._idle.append(device)

    def _next_lane(self) -> Lane | None:
        """The one whose turn it is among those in which anything waits."""
        for _ in range(len(self._turns)):
            lane = self._turns[0]
            self._turns.rotate()
            if lane.waiting:
                return lane
        return None

    async def _company(self, lane: Lane) -> None:
        """Until all that were being prepared at the beginning have come, or failed, or the batch is full."""
        expected = set(lane.coming)
        while expected & lane.coming and len(lane.waiting) < self._max_batch:
            self._changed.clear()
            await self._changed.wait()

    async def _pass(self, device: Device, kind: Kind, batch: list[Waiting]) -> None:
        start = time.perf_counter()
        alarm = asyncio.get_running_loop().call_later(self._hang_seconds, self._die, hung(self._hang_seconds), batch)
        try:
            answers = await device.encode(kind, [each.item for each in batch])
        except asyncio.CancelledError:  # the event loop ends
            raise
        except BaseException as error:  # whatever ended the worker
            self._die(error, batch)
            return
        finally:
            alarm.cancel()
        seconds = time.perf_counter() - start
        deliver(batch, answers, start, seconds)
        self._observe(Batch(kind, len(batch), seconds, tuple(start - each.since for each in batch)))

    def _die(self, error: BaseException, batch: Sequence[Waiting] = ()) -> None:
        """No caller waits for a device that will never answer."""
        self.death = self.death or error
        everyone = [*batch, *(each for lane in self._lanes.values() for each in lane.take(len(lane.waiting)))]
        for each in everyone:
            if not each.row.done():
                each.row.set_exception(dead(error))
        self._on_death(error)


def deliver(batch: Sequence[Waiting], answers: Sequence[Answer], start: float, seconds: float) -> None:
    for each, answer in zip(batch, answers, strict=True):
        if each.row.done():  # its caller left meanwhile
            continue
        if isinstance(answer, EncoderFailed):
            each.row.set_exception(answer)
        else:
            each.row.set_result(Row(answer, start - each.since, seconds))


def dead(error: BaseException) -> EncoderFailed:
    return EncoderFailed(f"the model's worker died ({type(error).__name__}: {error}); this sidecar ends")


def hung(seconds: float) -> EncoderFailed:
    return EncoderFailed(f"a pass of the model took over {seconds:.0f} seconds")
