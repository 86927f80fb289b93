"""A device and its thread: batches in, one row or error per item out.

Urgent work overtakes: it is first in the queue, and runs at the pauses of the work in progress.

N items · D dimensions
"""

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import numpy as np

from clip_vectorizer.errors import DeviceLost, EncoderFailed
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.pauses import set_pause_work
from clip_vectorizer.server.queues import ITEM_KINDS, ItemKind
from clip_vectorizer.threads import ThreadTask, prepare_task
from clip_vectorizer.vectors import Vectors

RowOrError = Vectors | EncoderFailed  # one unit row (D,), or why there is none
EncodeFunction = Callable[[Any], Vectors]  # items in, (N, D) out
ResultT = TypeVar("ResultT")


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
        self._thread, self._urgent = thread, urgent

    def rotate(self, kind: ItemKind) -> None:
        """Give all other kinds their turn first."""
        self.kinds.remove(kind)
        self.kinds.append(kind)

    async def encode(self, kind: ItemKind, items: Sequence[Any]) -> list[RowOrError]:
        """One row or error per item. Raises what ended the device for good: DeviceLost, SystemExit, ..."""
        job = self._thread.submit(partial(run_batch, self._encode[kind], items), self._urgent)
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
        self._queue: DeviceQueue = DeviceQueue()
        threading.Thread(target=self._queue.run, name=f"device {name}", daemon=True).start()
        weakref.finalize(self, stop_thread, self._queue)

    def submit(self, work: Callable[[], ResultT], urgent: bool) -> "Future[ResultT]":
        """Run `work` in the thread. It may raise anything: the exception goes to the future, the thread survives."""
        future, task = prepare_task(work)
        (self._queue.urgent if urgent else self._queue.usual).append(task)
        self._queue.waiting.release()
        return future


class DeviceQueue:
    """The tasks of the thread, which sleeps while there are none: `waiting` counts both kinds."""

    def __init__(self) -> None:
        self.urgent: deque[ThreadTask] = deque()
        self.usual: deque[ThreadTask] = deque()
        self.waiting = threading.Semaphore(0)
        self.closed = False

    def run(self) -> None:
        set_pause_work(self.run_urgent)
        while True:
            self.waiting.acquire()
            if self.closed:
                return
            (self.urgent or self.usual).popleft()()

    def run_urgent(self) -> None:
        """Run the urgent tasks that have come meanwhile; called at the pauses of other work."""
        while self.urgent:
            self.waiting.acquire()  # does not block: it was released for this task
            self.urgent.popleft()()


def stop_thread(queue: DeviceQueue) -> None:
    queue.closed = True
    queue.waiting.release()
