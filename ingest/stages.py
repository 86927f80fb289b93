"""Concurrent stages: each has its own threads and is ahead of the next by a bounded amount.

    items = flow.stage(sources, look_up, SizeLimit(...))
    images = flow.stage(items, prepare, SizeLimit(...), threads=4)
    for event in flow.events(images): ...

Results wait in a `StageQueue` for the next stage. Events (`flow.emit`) go directly to the reader of `flow.events`.
The first error in any thread stops all stages and is raised to that reader.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

BACKGROUND_NICENESS = 10  # of -20 (first) to 19 (last)
JOIN_SECONDS = 2.0  # for all threads; one in the middle of a request is a daemon and does not delay the exit


class HasHeldBytes(Protocol):
    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the value occupies."""


InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT", bound=HasHeldBytes)
ItemT = TypeVar("ItemT")


class FlowHalted(Exception):
    """Raised in the threads of a flow that ends early."""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """What a queue or a batch may hold. One item is always accepted, however large."""

    items: int
    bytes: int = 64_000_000


class StageQueue(Generic[ItemT]):
    """A bounded queue with an end. Thread-safe; `put` and iteration raise FlowHalted once it is halted."""

    def __init__(self, limit: SizeLimit, weigh: Callable[[ItemT], int]) -> None:
        self._limit, self._weigh = limit, weigh
        self._items: deque[ItemT] = deque()
        self._bytes = 0
        self._ended = self._halted = False
        self._changed = threading.Condition()

    def put(self, item: ItemT) -> None:
        """Add an item, as soon as there is room."""
        with self._changed:
            self._changed.wait_for(lambda: self._halted or self._has_room())
            self._check()
            self._items.append(item)
            self._bytes += self._weigh(item)
            self._changed.notify_all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ItemT:
        with self._changed:
            self._changed.wait_for(lambda: self._halted or self._items or self._ended)
            self._check()
            if not self._items:
                raise StopIteration
            item = self._items.popleft()
            self._bytes -= self._weigh(item)
            self._changed.notify_all()
            return item

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def halt(self) -> None:
        with self._changed:
            self._halted = True
            self._changed.notify_all()

    def _has_room(self) -> bool:
        if not self._items:
            return True
        return len(self._items) < self._limit.items and self._bytes < self._limit.bytes

    def _check(self) -> None:
        if self._halted:
            raise FlowHalted


END_OF_EVENTS: tuple[object, ...] = ()


class Flow:
    """Context manager; stops all stages on exit."""

    def __init__(self) -> None:
        self._events: SimpleQueue[Sequence[object]] = SimpleQueue()  # unbounded; many times faster than a StageQueue
        self._queues: list[StageQueue[Any]] = []
        self._threads: list[threading.Thread] = []
        self._halted = threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.halt()
        until = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def stage(
        self,
        stream: Iterable[InputT],
        work: Callable[[InputT], Iterable[OutputT]],
        limit: SizeLimit,
        threads: int = 1,
        background: bool = False,
    ) -> Iterator[OutputT]:
        """Yield the results of `work` for each item of `stream`; with several threads in no certain order.

        `background`: run these threads at low priority, because they compute.
        """
        queue: StageQueue[OutputT] = StageQueue(limit, lambda item: item.held_bytes)
        self._queues.append(queue)
        workers = StageWorkers(iter(stream), work, queue, self.fail, threads)
        for _ in range(threads):
            self._start(workers.run_in_background if background else workers.run)
        return queue

    def events(self, last: Iterable[object]) -> Iterator[Any]:
        """Yield events until `last`, the last stage, has ended. Raises the first error of any stage, after the events
        before it."""
        self._start(lambda: self._drain(last))
        yield from chain.from_iterable(iter(self._events.get, END_OF_EVENTS))
        if self._error:
            raise self._error

    def emit(self, *events: object) -> None:
        """Send events to the reader, together if there are several: each time, it has to wake up."""
        if events:
            self._events.put(events)

    def pause(self, seconds: float) -> None:
        """Sleep. Raises FlowHalted as soon as the flow is halted."""
        if self._halted.wait(seconds):
            raise FlowHalted

    def fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self.halt()
        self._events.put(END_OF_EVENTS)

    def halt(self) -> None:
        self._halted.set()
        for queue in self._queues:
            queue.halt()

    def _drain(self, last: Iterable[object]) -> None:
        with suppress(FlowHalted):
            for _ in last:
                pass
            self._events.put(END_OF_EVENTS)

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()


class StageWorkers(Generic[InputT, OutputT]):
    """The threads of one stage. They take turns at the stream; the last one to finish ends the queue."""

    def __init__(
        self,
        stream: Iterator[InputT],
        work: Callable[[InputT], Iterable[OutputT]],
        queue: StageQueue[OutputT],
        fail: Callable[[BaseException], None],
        threads: int,
    ) -> None:
        self._stream, self._work, self._queue, self._fail = stream, work, queue, fail
        self._turn = threading.Lock()
        self._running = threads
        self._over = False

    def run_in_background(self) -> None:
        lower_thread_priority()
        self.run()

    def run(self) -> None:
        try:
            while self._work_on_one():
                pass
        except FlowHalted:
            return
        except BaseException as error:
            self._fail(error)
            return
        with self._turn:
            self._running -= 1
            if not self._running:
                self._queue.end()

    def _work_on_one(self) -> bool:
        """Return whether there was an item. It may hold an image, so no variable refers to it during the next wait."""
        for item in self._next():
            for result in self._work(item):
                self._queue.put(result)
            return True
        return False

    def _next(self) -> list[InputT]:
        """Return one item, or none at the end of the stream."""
        with self._turn:
            items = [] if self._over else list(islice(self._stream, 1))
            self._over = not items
            return items


def lower_thread_priority() -> None:
    """Lower this thread's priority.

    A pass of a sidecar waits for the slowest of its threads: on shared cores, one millisecond of ours delays it by
    several.
    """
    if sys.platform == "linux":  # elsewhere the number of a thread is that of another process
        thread = threading.get_native_id()
        with suppress(OSError):
            # root could raise a priority that is lower already
            os.setpriority(os.PRIO_PROCESS, thread, max(BACKGROUND_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
