"""Micro-batches across requests: whatever waits when a device frees up goes through together.

No timer. Items that are being prepared when the device is free are waited for, for they are known to come; a lone
request never waits for company. Texts and images wait in lanes. On an accelerator the lanes take turns, so a text
waits for one batch of images at most; on a CPU, where such a batch takes long, texts are let in between its layers.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import Encoder, PreparedText
from clip_vectorizer.server.device import Device, RowOrError, open_devices
from clip_vectorizer.server.queues import ITEM_KINDS, BatchStats, EmbeddingResult, ItemKind, ItemQueue, QueuedItem
from clip_vectorizer.vectors import Pixels


class Batcher:
    """One worker a device, all fed from the same lanes. Every caller gets exactly one answer for its item."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        max_batch: int,
        observe: Callable[[BatchStats], None] = lambda _batch: None,
        on_death: Callable[[BaseException], None] = lambda _error: None,
        hang_seconds: float = 300.0,
    ) -> None:
        """`on_death` hears when a device can serve no more: its worker died, or a pass took over `hang_seconds`."""
        self._max_batch, self._observe, self._on_death = max_batch, observe, on_death
        self._hang_seconds = hang_seconds
        self._lanes = {kind: ItemQueue(kind) for kind in ITEM_KINDS}
        self._idle = [device for encoder in encoders for device in open_devices(encoder)]
        self._workers: set[asyncio.Task[None]] = set()
        self._changed: asyncio.Event = asyncio.Event()
        self.death: BaseException | None = None

    def depth(self, kind: ItemKind) -> int:
        return len(self._lanes[kind].waiting)

    @contextmanager
    def announced(self, kind: ItemKind) -> Iterator[None]:
        """While an item is being prepared that will be handed in right after."""
        lane, ticket = self._lanes[kind], object()
        lane.coming.add(ticket)
        try:
            yield
        finally:
            lane.coming.discard(ticket)
            self._changed.set()

    async def encode(
        self, kind: ItemKind, owner: object, item: PreparedText | Pixels, _key: bytes = b""
    ) -> EmbeddingResult:
        """Raises EncoderFailed for what the model cannot do, and for everything once a device is dead."""
        return await self.hand_in(kind, owner, item)

    def hand_in(self, kind: ItemKind, owner: object, item: PreparedText | Pixels) -> "asyncio.Future[EmbeddingResult]":
        """The row to come; whoever cancels it gives its place up. Raises EncoderFailed once a device is dead."""
        if self.death is not None:
            raise dead_worker_error(self.death)
        waiting = QueuedItem(item, asyncio.get_running_loop().create_future())
        self._lanes[kind].waiting.push(owner, waiting)
        self._changed.set()
        self._wake(kind)
        return waiting.row

    def _wake(self, kind: ItemKind) -> None:
        """The device that has been idle longest among those that take such items."""
        device = next((each for each in self._idle if kind in each.kinds), None)
        if device is not None:
            self._idle.remove(device)
            worker = asyncio.create_task(self._work(device))
            self._workers.add(worker)
            worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        """A worker ends when nothing waits; one that ends by an error must not leave its callers waiting."""
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()):
            self._die(error)

    async def _work(self, device: Device) -> None:
        """Runs while anything waits."""
        while self.death is None and (lane := self._next_lane(device)):
            await self._company(lane)
            if batch := lane.take(self._max_batch):
                await self._pass(device, lane.kind, batch)
        self._idle.append(device)

    def _next_lane(self, device: Device) -> ItemQueue | None:
        """The one whose turn it is among those in which anything waits."""
        waiting = [self._lanes[kind] for kind in device.kinds if self._lanes[kind].waiting]
        if waiting:
            device.took(waiting[0].kind)
        return waiting[0] if waiting else None

    async def _company(self, lane: ItemQueue) -> None:
        """Until all that were being prepared at the beginning have come, or failed, or the batch is full."""
        expected = set(lane.coming)
        while expected & lane.coming and len(lane.waiting) < self._max_batch:
            self._changed.clear()
            await self._changed.wait()

    async def _pass(self, device: Device, kind: ItemKind, batch: list[QueuedItem]) -> None:
        start = time.perf_counter()
        alarm = asyncio.get_running_loop().call_later(
            self._hang_seconds, self._die, hung_pass_error(self._hang_seconds), batch
        )
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
        deliver_rows(batch, answers, start, seconds)
        self._observe(BatchStats(kind, len(batch), seconds, tuple(start - each.since for each in batch)))

    def _die(self, error: BaseException, batch: Sequence[QueuedItem] = ()) -> None:
        """No caller waits for a device that will never answer."""
        self.death = self.death or error
        everyone = [*batch, *(each for lane in self._lanes.values() for each in lane.take(len(lane.waiting)))]
        for each in everyone:
            if not each.row.done():
                each.row.set_exception(dead_worker_error(error))
        self._on_death(error)


def deliver_rows(batch: Sequence[QueuedItem], answers: Sequence[RowOrError], start: float, seconds: float) -> None:
    for each, answer in zip(batch, answers, strict=True):
        if each.row.done():  # its caller left meanwhile
            continue
        if isinstance(answer, EncoderFailed):
            each.row.set_exception(answer)
        else:
            each.row.set_result(EmbeddingResult(answer, start - each.since, seconds))


def dead_worker_error(error: BaseException) -> EncoderFailed:
    return EncoderFailed(f"the model's worker died ({type(error).__name__}: {error}); this sidecar ends")


def hung_pass_error(seconds: float) -> EncoderFailed:
    return EncoderFailed(f"a pass of the model took over {seconds:.0f} seconds")
