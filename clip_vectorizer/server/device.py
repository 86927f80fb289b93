"""A device: batches in, one answer an item out.

N items · D dimensions

The one thread of a device, on which urgent work overtakes: first in line, and at the pauses of what runs.
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


class DeviceThread:
    """A daemon: a thread that hangs in a driver must not keep the process. It ends when nobody holds this any more."""

    def __init__(self, name: str) -> None:
        self._line: DeviceQueue = DeviceQueue()
        threading.Thread(target=self._line.work_through, name=f"device {name}", daemon=True).start()
        weakref.finalize(self, stop_thread, self._line)

    def submit(self, work: Callable[[], ResultT], urgent: bool) -> "Future[ResultT]":
        """Work may raise anything: its future has it, the thread lives on."""
        future, job = prepare_task(work)
        (self._line.urgent if urgent else self._line.usual).append(job)
        self._line.waiting.release()
        return future


class Device:
    """A worker's side of a device. `kinds`: the items it takes, those whose turn it is first."""

    def __init__(self, encoder: Encoder, kinds: list[ItemKind], thread: DeviceThread, urgent: bool = False) -> None:
        self.kinds = kinds
        self._encode: dict[ItemKind, EncodeFunction] = {"text": encoder.encode_texts, "image": encoder.encode_images}
        self._thread, self._urgent = thread, urgent

    def took(self, kind: ItemKind) -> None:
        """The turn of all others comes first."""
        self.kinds.remove(kind)
        self.kinds.append(kind)

    async def encode(self, kind: ItemKind, items: Sequence[Any]) -> list[RowOrError]:
        """One answer an item. Raises whatever ended the pass for good: DeviceLost, SystemExit, ..."""
        job = self._thread.submit(partial(run_batch, self._encode[kind], items), self._urgent)
        answers, end = await asyncio.wrap_future(job)
        if end is not None:
            raise end
        return answers


def open_devices(encoder: Encoder) -> list[Device]:
    """The workers of one encoder, on one thread. On a CPU texts are let in between the layers of a pass over images."""
    thread = DeviceThread(encoder.info.device)
    if encoder.info.device != "cpu":
        return [Device(encoder, list(ITEM_KINDS), thread)]
    return [Device(encoder, ["text"], thread, urgent=True), Device(encoder, ["image"], thread)]


def run_batch(encode: EncodeFunction, items: Sequence[Any]) -> tuple[list[RowOrError], BaseException | None]:
    """As values: asyncio would let a SystemExit of a thread end the event loop in the midst of things."""
    try:
        return encode_items(encode, items), None
    except SystemExit as error:
        return [], RuntimeError(f"SystemExit: {error}")
    except BaseException as error:
        return [], error


def encode_items(encode: EncodeFunction, items: Sequence[Any]) -> list[RowOrError]:
    """One answer an item: a batch that fails is tried again item by item. Raises DeviceLost alone."""
    try:
        return check_rows(encode(items), len(items))
    except DeviceLost:
        raise
    except Exception as error:  # the model may raise anything; the one thread that serves all must live on
        if len(items) == 1:
            return [EncoderFailed(f"the model failed: {error or type(error).__name__}")]
        return [answer for item in items for answer in encode_items(encode, [item])]


def check_rows(rows_nd: Vectors, count: int) -> list[RowOrError]:
    """The rows, an error in place of each that is not finite. Raises EncoderFailed unless there are `count`."""
    if rows_nd.shape[:1] != (count,):
        raise EncoderFailed(f"{len(rows_nd)} vectors for {count} items")
    return [row if np.isfinite(row).all() else EncoderFailed("the model gave NaN or infinity") for row in rows_nd]


class DeviceQueue:
    """What waits for the thread, which sleeps while there is nothing: `waiting` counts both kinds."""

    def __init__(self) -> None:
        self.urgent: deque[ThreadTask] = deque()
        self.usual: deque[ThreadTask] = deque()
        self.waiting = threading.Semaphore(0)
        self.over = False

    def work_through(self) -> None:
        set_pause_work(self.urgent_now)
        while True:
            self.waiting.acquire()
            if self.over:
                return
            (self.urgent or self.usual).popleft()()

    def urgent_now(self) -> None:
        """At a pause: what is urgent and has come meanwhile."""
        while self.urgent:
            self.waiting.acquire()  # at once: it was released for this very job
            self.urgent.popleft()()


def stop_thread(line: DeviceQueue) -> None:
    line.over = True
    line.waiting.release()
