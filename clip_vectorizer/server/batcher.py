"""Micro-batches across requests: all items that wait when a device becomes free are encoded together.

No timer. Items that are being prepared when the device becomes free are waited for; a single request never waits for
others. Texts and images have queues of their own. On an accelerator the queues take turns, so a text waits for one
batch of images at most; on a CPU, where such a batch takes long, texts are encoded between its layers.

N items · D dimensions
"""

import asyncio
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from clip_vectorizer.errors import DeviceLost, EncoderFailed
from clip_vectorizer.models.encoder import Encoder, PreparedText
from clip_vectorizer.models.pauses import set_break_work, set_pause_work
from clip_vectorizer.server.queues import (
    ITEM_KINDS,
    BatchStats,
    EmbeddingResult,
    FairPool,
    ItemKind,
    ItemQueue,
    QueuedItem,
)
from clip_vectorizer.threads import ThreadTask, prepare_task
from clip_vectorizer.vectors import Pixels, Vectors

RowOrError = Vectors | EncoderFailed  # one unit row (D,), or why there is none
EncodeFunction = Callable[[Any], Vectors]  # items in, (N, D) out
ResultT = TypeVar("ResultT")
ArgumentsP = ParamSpec("ArgumentsP")


class Batcher:
    """One task per device, all fed from the same queues. Every caller gets exactly one row or error for its item."""

    def __init__(
        self,
        encoders: Sequence[Encoder],
        max_batch: int,
        observe: Callable[[BatchStats], None] = lambda _batch: None,
        on_death: Callable[[BaseException], None] = lambda _error: None,
        hang_seconds: float = 300.0,
    ) -> None:
        """`on_death` is called when a device fails for good: its task died, or a batch took over `hang_seconds`."""
        self._max_batch, self._observe, self._on_death = max_batch, observe, on_death
        self._hang_seconds = hang_seconds
        self._queues = {kind: ItemQueue(kind) for kind in ITEM_KINDS}
        self._devices = [device for encoder in encoders for device in open_devices(encoder)]
        self._idle = list(self._devices)
        self._long = FairPool(LongExecutor(self._devices[0].thread), 1)
        self._workers: set[asyncio.Task[None]] = set()
        self._changed: asyncio.Event = asyncio.Event()
        self.death: BaseException | None = None

    def depth(self, kind: ItemKind) -> int:
        return len(self._queues[kind].waiting)

    def busy_seconds(self) -> dict[str, float]:
        """How long each device has been at work, by its name (`cpu`, `cuda:0`). For any thread."""
        threads = {id(device.thread): device.thread for device in self._devices}.values()
        names = sorted({thread.name for thread in threads})
        return {name: sum(each.busy_seconds() for each in threads if each.name == name) for name in names}

    @contextmanager
    def announced(self, kind: ItemKind) -> Iterator[None]:
        """Announce that an item is being prepared and will be submitted next."""
        queue, ticket = self._queues[kind], object()
        queue.coming.add(ticket)
        try:
            yield
        finally:
            queue.coming.discard(ticket)
            self._changed.set()

    async def encode(
        self, kind: ItemKind, owner: object, item: PreparedText | Pixels, _key: bytes = b""
    ) -> EmbeddingResult:
        """Raises EncoderFailed where the model fails, and for every item once a device is dead."""
        return await self.submit(kind, owner, item)

    def submit(self, kind: ItemKind, owner: object, item: PreparedText | Pixels) -> "asyncio.Future[EmbeddingResult]":
        """The future row; cancelling it removes the item. Raises EncoderFailed once a device is dead."""
        if self.death is not None:
            raise dead_worker_error(self.death)
        waiting = QueuedItem(item, asyncio.get_running_loop().create_future())
        self._queues[kind].waiting.push(owner, waiting)
        self._changed.set()
        self._wake(kind)
        return waiting.row

    async def run_long(self, owner: object, work: Callable[[], ResultT]) -> ResultT:
        """The result of work of several passes, on the thread of the first device; batches run in its breaks.

        One at a time; owners take turns. Raises what `work` raises, and EncoderFailed once a device is dead.
        """
        if self.death is not None:
            raise dead_worker_error(self.death)
        result, error = await self._long.run(owner, run_work, work)
        if isinstance(error, DeviceLost):
            self._die(error)
            raise dead_worker_error(error)
        if error is not None:
            raise error
        return cast(ResultT, result)

    def _wake(self, kind: ItemKind) -> None:
        """Start the device that has been idle longest among those that encode such items."""
        device = next((each for each in self._idle if kind in each.kinds), None)
        if device is not None:
            self._idle.remove(device)
            worker = asyncio.create_task(self._work(device))
            self._workers.add(worker)
            worker.add_done_callback(self._on_worker_done)

    def _on_worker_done(self, worker: asyncio.Task[None]) -> None:
        """A worker ends when its queues are empty; after an error its callers must not wait for ever."""
        self._workers.discard(worker)
        if not worker.cancelled() and (error := worker.exception()):
            self._die(error)

    async def _work(self, device: "Device") -> None:
        """Encode batches while any item waits."""
        while self.death is None and (queue := self._next_queue(device)):
            await self._wait_for_coming(queue)
            if batch := queue.take(self._max_batch):
                await self._encode_batch(device, queue.kind, batch)
        self._idle.append(device)

    def _next_queue(self, device: "Device") -> ItemQueue | None:
        """The queue whose turn it is among those with items."""
        waiting = [self._queues[kind] for kind in device.kinds if self._queues[kind].waiting]
        if waiting:
            device.rotate(waiting[0].kind)
        return waiting[0] if waiting else None

    async def _wait_for_coming(self, queue: ItemQueue) -> None:
        """Wait until all items that were being prepared at the beginning have come or failed, or the batch is full."""
        expected = set(queue.coming)
        while expected & queue.coming and len(queue.waiting) < self._max_batch:
            self._changed.clear()
            await self._changed.wait()

    async def _encode_batch(self, device: "Device", kind: ItemKind, batch: list[QueuedItem]) -> None:
        start = time.perf_counter()
        alarm = asyncio.get_running_loop().call_later(
            self._hang_seconds, self._die, hung_pass_error(self._hang_seconds), batch
        )
        try:
            rows = await device.encode(kind, [each.item for each in batch])
        except asyncio.CancelledError:  # the event loop stops
            raise
        except BaseException as error:  # any reason ends the worker
            self._die(error, batch)
            return
        finally:
            alarm.cancel()
        seconds = time.perf_counter() - start
        deliver_rows(batch, rows, start, seconds)
        self._observe(BatchStats(kind, len(batch), seconds, tuple(start - each.since for each in batch)))

    def _die(self, error: BaseException, batch: Sequence[QueuedItem] = ()) -> None:
        """Fail all items: no caller may wait for a device that will never return."""
        self.death = self.death or error
        items = [*batch, *(each for queue in self._queues.values() for each in queue.take(len(queue.waiting)))]
        for each in items:
            if not each.row.done():
                each.row.set_exception(dead_worker_error(error))
        self._on_death(error)


def deliver_rows(batch: Sequence[QueuedItem], rows: Sequence[RowOrError], start: float, seconds: float) -> None:
    for each, row in zip(batch, rows, strict=True):
        if each.row.done():  # its caller left
            continue
        if isinstance(row, EncoderFailed):
            each.row.set_exception(row)
        else:
            each.row.set_result(EmbeddingResult(row, start - each.since, seconds))


def dead_worker_error(error: BaseException) -> EncoderFailed:
    return EncoderFailed(f"the model's worker died ({type(error).__name__}: {error}); this sidecar ends")


def hung_pass_error(seconds: float) -> EncoderFailed:
    return EncoderFailed(f"a pass of the model took over {seconds:.0f} seconds")


def open_devices(encoder: Encoder) -> "list[Device]":
    """The devices of one encoder, on one thread. On a CPU texts run between the layers of a batch of images."""
    thread = DeviceThread(encoder.info.device)
    if encoder.info.device != "cpu":
        return [Device(encoder, list(ITEM_KINDS), thread)]
    return [Device(encoder, ["text"], thread, urgent=True), Device(encoder, ["image"], thread)]


class Device:
    """A device for some kinds of items. `kinds`: in the order of their turns."""

    def __init__(self, encoder: Encoder, kinds: list[ItemKind], thread: "DeviceThread", urgent: bool = False) -> None:
        self.kinds = kinds
        self._encode: dict[ItemKind, EncodeFunction] = {"text": encoder.encode_texts, "image": encoder.encode_images}
        self.thread, self._urgent = thread, urgent

    def rotate(self, kind: ItemKind) -> None:
        """Give all other kinds their turn first."""
        self.kinds.remove(kind)
        self.kinds.append(kind)

    async def encode(self, kind: ItemKind, items: Sequence[Any]) -> list[RowOrError]:
        """One row or error per item. Raises what ended the device for good: DeviceLost, SystemExit, ..."""
        job = self.thread.submit(partial(run_batch, self._encode[kind], items), self._urgent)
        rows, error = await asyncio.wrap_future(job)
        if error is not None:
            raise error
        return rows


def run_batch(encode: EncodeFunction, items: Sequence[Any]) -> tuple[list[RowOrError], BaseException | None]:
    """The rows and the error as values: asyncio would end the event loop for a SystemExit of a thread."""
    try:
        return encode_items(encode, items), None
    except SystemExit as error:
        return [], RuntimeError(f"SystemExit: {error}")
    except BaseException as error:
        return [], error


def run_work(work: Callable[[], ResultT]) -> tuple[ResultT | None, Exception | None]:
    """The result or the error as values, as for `run_batch`."""
    try:
        return work(), None
    except SystemExit as error:
        return None, RuntimeError(f"SystemExit: {error}")
    except Exception as error:
        return None, error


def encode_items(encode: EncodeFunction, items: Sequence[Any]) -> list[RowOrError]:
    """One row or error per item: a batch that fails is retried item by item. Raises DeviceLost alone."""
    try:
        return check_rows(encode(items), len(items))
    except DeviceLost:
        raise
    except Exception as error:  # a model may raise anything; the one thread of the device must survive
        if len(items) == 1:
            return [EncoderFailed(f"the model failed: {error or type(error).__name__}")]
        return [row for item in items for row in encode_items(encode, [item])]


def check_rows(rows_nd: Vectors, count: int) -> list[RowOrError]:
    """The rows, with an error in place of each that is not finite. Raises EncoderFailed unless there are `count`."""
    if rows_nd.shape[:1] != (count,):
        raise EncoderFailed(f"{len(rows_nd)} vectors for {count} items")
    return [row if np.isfinite(row).all() else EncoderFailed("the model gave NaN or infinity") for row in rows_nd]


class DeviceThread:
    """A daemon: a thread that hangs in a driver must not keep the process alive. Ends when this object is collected."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._queue: DeviceQueue = DeviceQueue()
        threading.Thread(target=self._queue.run, name=f"device {name}", daemon=True).start()
        weakref.finalize(self, stop_thread, self._queue)

    def busy_seconds(self) -> float:
        return self._queue.busy.seconds()

    def submit(self, work: Callable[[], ResultT], urgent: bool) -> "Future[ResultT]":
        """Run `work` in the thread. It may raise anything: the exception goes to the future, the thread survives."""
        return self._submit(work, self._queue.urgent if urgent else self._queue.usual)

    def submit_long(self, work: Callable[[], ResultT]) -> "Future[ResultT]":
        """As `submit`, after all other work; what comes meanwhile runs in the breaks of `work`."""
        return self._submit(work, self._queue.long)

    def _submit(self, work: Callable[[], ResultT], queue: deque[ThreadTask]) -> "Future[ResultT]":
        future, task = prepare_task(work)
        queue.append(task)
        self._queue.waiting.release()
        return future


class LongExecutor(Executor):
    """The thread of a device, for work that all batches go before."""

    def __init__(self, thread: DeviceThread) -> None:
        self._thread = thread

    def submit(
        self, work: Callable[ArgumentsP, ResultT], /, *args: ArgumentsP.args, **kwargs: ArgumentsP.kwargs
    ) -> "Future[ResultT]":
        return self._thread.submit_long(partial(work, *args, **kwargs))


class DeviceQueue:
    """The tasks of the thread, which sleeps while there are none: `waiting` counts all kinds."""

    def __init__(self) -> None:
        self.urgent: deque[ThreadTask] = deque()
        self.usual: deque[ThreadTask] = deque()
        self.long: deque[ThreadTask] = deque()
        self.waiting = threading.Semaphore(0)
        self.closed = False
        self.busy = BusyClock()

    def run(self) -> None:
        set_pause_work(self.run_urgent)
        set_break_work(self.run_waiting)
        while True:
            self.waiting.acquire()
            if self.closed:
                return
            with self.busy.running():
                (self.urgent or self.usual or self.long).popleft()()

    def run_urgent(self) -> None:
        """Run the urgent tasks that have come meanwhile; called at the pauses of other work."""
        while self.urgent:
            self.waiting.acquire()  # does not block: it was released for this task
            self.urgent.popleft()()

    def run_waiting(self) -> None:
        """Run the urgent and the usual tasks that have come meanwhile; called at the breaks of a long one."""
        while self.urgent or self.usual:
            self.waiting.acquire()
            (self.urgent or self.usual).popleft()()


class BusyClock:
    """Adds up the seconds of a thread's work, what it does now included. It may be read in any thread."""

    def __init__(self) -> None:
        self._state: tuple[float, float | None] = 0.0, None  # seconds before, start of this work: replaced as one
        self._shown = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        before, start = self._state[0], time.perf_counter()
        self._state = before, start
        try:
            yield
        finally:
            self._state = before + time.perf_counter() - start, None

    def seconds(self) -> float:
        """Never less than before: Prometheus takes a counter that falls for a restart."""
        before, start = self._state
        now = before if start is None else before + time.perf_counter() - start
        self._shown = max(self._shown, now)
        return self._shown


def stop_thread(queue: DeviceQueue) -> None:
    queue.closed = True
    queue.waiting.release()
