"""Stages that work side by side: each has threads of its own and is ahead of the next by a bounded amount.

    listed = flow.stage(sources, look_up, Bound(...))
    made = flow.stage(listed, prepare, Bound(...), threads=4)
    for event in flow.events(made): ...

What a stage hands to the next one waits in a `StageQueue`. What it has to tell (`flow.tell`) goes straight to whoever
reads the events, past all other stages. The first error of any thread halts them all and is raised there.
"""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar

BACKGROUND_NICENESS = 10  # of -20 (first) to 19 (last)
JOIN_SECONDS = 2.0  # for all: one may be in the middle of a request; it is a daemon and does not hold up the end


class HasHeldBytes(Protocol):
    @property
    def held_bytes(self) -> int:
        """Of memory."""


InputT = TypeVar("InputT")
OutputT = TypeVar("OutputT", bound=HasHeldBytes)
ItemT = TypeVar("ItemT")


class FlowHalted(Exception):
    """Raised in the threads of a flow that ends early."""


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """What may wait in a lane. One item always may, however large."""

    items: int
    bytes: int = 64_000_000


class StageQueue(Generic[ItemT]):
    """A queue with a bound and an end. Every method may be called by several threads; all but `end` raise Halted."""

    def __init__(self, bound: SizeLimit | None, weigh: Callable[[ItemT], int]) -> None:
        self._bound, self._weigh = bound, weigh
        self._waiting: deque[ItemT] = deque()
        self._bytes = 0
        self._ended = self._halted = False
        self._changed = threading.Condition()

    def put(self, item: ItemT) -> None:
        """Waits until there is room."""
        with self._changed:
            self._changed.wait_for(lambda: self._halted or self._has_room())
            self._check()
            self._waiting.append(item)
            self._bytes += self._weigh(item)
            self._changed.notify_all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ItemT:
        with self._changed:
            self._changed.wait_for(lambda: self._halted or self._waiting or self._ended)
            self._check()
            if not self._waiting:
                raise StopIteration
            item = self._waiting.popleft()
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
        if self._bound is None or not self._waiting:
            return True
        return len(self._waiting) < self._bound.items and self._bytes < self._bound.bytes

    def _check(self) -> None:
        if self._halted:
            raise FlowHalted


class Flow:
    """A context: whoever leaves it leaves no stage running."""

    def __init__(self) -> None:
        self._events: StageQueue[Any] = StageQueue(None, lambda _: 0)
        self._lanes: list[StageQueue[Any]] = []
        self._threads: list[threading.Thread] = []
        self._halted = threading.Event()
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.halt()
        self._events.halt()
        until = time.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def stage(
        self,
        stream: Iterable[InputT],
        work: Callable[[InputT], Iterable[OutputT]],
        bound: SizeLimit,
        threads: int = 1,
        background: bool = False,
    ) -> Iterator[OutputT]:
        """All that `work` makes of what `stream` gives, as it comes: with several threads in no certain order.

        `background`: they compute, and should take the cores only when nobody else wants them.
        """
        lane: StageQueue[OutputT] = StageQueue(bound, lambda item: item.held_bytes)
        self._lanes.append(lane)
        crew = StageWorkers(iter(stream), work, lane, self.fail, threads)
        for _ in range(threads):
            self._start(crew.run_in_background if background else crew.run)
        return lane

    def events(self, last: Iterable[object]) -> Iterator[Any]:
        """What is told, until `last`, the last stage, has ended. Raises the first error of any stage, after all that
        was told before it."""
        self._start(lambda: self._drain(last))
        with suppress(FlowHalted):
            yield from self._events
        if self._error:
            raise self._error

    def tell(self, event: object) -> None:
        self._events.put(event)

    def pause(self, seconds: float) -> None:
        """Sleeps. Raises Halted as soon as the flow is."""
        if self._halted.wait(seconds):
            raise FlowHalted

    def fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self.halt()
        self._events.end()

    def halt(self) -> None:
        self._halted.set()
        for lane in self._lanes:
            lane.halt()

    def _drain(self, last: Iterable[object]) -> None:
        with suppress(FlowHalted):
            for _ in last:
                pass
            self._events.end()

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()


class StageWorkers(Generic[InputT, OutputT]):
    """The threads of one stage. They take turns at the stream; the last one to end ends the lane."""

    def __init__(
        self,
        stream: Iterator[InputT],
        work: Callable[[InputT], Iterable[OutputT]],
        lane: StageQueue[OutputT],
        fail: Callable[[BaseException], None],
        threads: int,
    ) -> None:
        self._stream, self._work, self._lane, self._fail = stream, work, lane, fail
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
                self._lane.end()

    def _work_on_one(self) -> bool:
        """Whether there was one. It may hold an image: nobody knows it any more while the next one is waited for."""
        for item in self._next():
            for result in self._work(item):
                self._lane.put(result)
            return True
        return False

    def _next(self) -> list[InputT]:
        """One item, or none at the end of the stream."""
        with self._turn:
            items = [] if self._over else list(islice(self._stream, 1))
            self._over = not items
            return items


def lower_thread_priority() -> None:
    """Lowers this thread's priority. A sidecar's passes wait for the slowest of their threads: where it shares our
    cores, one millisecond of ours costs it several."""
    if sys.platform == "linux":  # elsewhere a thread's number is some other process
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICENESS)
