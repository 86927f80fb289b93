"""Stages that work side by side: each has threads of its own and is ahead of the next by a bounded amount.

    listed = flow.stage(sources, look_up, Bound(...))
    made = flow.stage(listed, prepare, Bound(...), threads=4)
    for event in flow.events(made): ...

What a stage hands to the next one waits in a `Lane`. What it has to tell (`flow.tell`) goes straight to whoever
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

BACKGROUND = 10  # of -20 (first) to 19 (last)
JOIN_SECONDS = 2.0  # for all: one may be in the middle of a request; it is a daemon and does not hold up the end


class Weighed(Protocol):
    @property
    def held_bytes(self) -> int:
        """Of memory."""


In = TypeVar("In")
Out = TypeVar("Out", bound=Weighed)
Thing = TypeVar("Thing")


class Halted(Exception):
    """Raised in the threads of a flow that ends early."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What may wait in a lane. One item always may, however large."""

    items: int
    bytes: int = 64_000_000


class Lane(Generic[Thing]):
    """A queue with a bound and an end. Every method may be called by several threads; all but `end` raise Halted."""

    def __init__(self, bound: Bound | None, weigh: Callable[[Thing], int]) -> None:
        self._bound, self._weigh = bound, weigh
        self._waiting: deque[Thing] = deque()
        self._bytes = 0
        self._ended = self._halted = False
        self._changed = threading.Condition()

    def put(self, item: Thing) -> None:
        """Waits until there is room."""
        with self._changed:
            self._changed.wait_for(lambda: self._halted or self._has_room())
            self._check()
            self._waiting.append(item)
            self._bytes += self._weigh(item)
            self._changed.notify_all()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Thing:
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
            raise Halted


class Flow:
    """A context: whoever leaves it leaves no stage running."""

    def __init__(self) -> None:
        self._events: Lane[Any] = Lane(None, lambda _: 0)
        self._lanes: list[Lane[Any]] = []
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
        stream: Iterable[In],
        work: Callable[[In], Iterable[Out]],
        bound: Bound,
        threads: int = 1,
        background: bool = False,
    ) -> Iterator[Out]:
        """All that `work` makes of what `stream` gives, as it comes: with several threads in no certain order.

        `background`: they compute, and should take the cores only when nobody else wants them.
        """
        lane: Lane[Out] = Lane(bound, lambda item: item.held_bytes)
        self._lanes.append(lane)
        crew = Crew(iter(stream), work, lane, self.fail, threads)
        for _ in range(threads):
            self._start(crew.run_in_background if background else crew.run)
        return lane

    def events(self, last: Iterable[object]) -> Iterator[Any]:
        """What is told, until `last`, the last stage, has ended. Raises the first error of any stage, after all that
        was told before it."""
        self._start(lambda: self._drain(last))
        with suppress(Halted):
            yield from self._events
        if self._error:
            raise self._error

    def tell(self, event: object) -> None:
        self._events.put(event)

    def pause(self, seconds: float) -> None:
        """Sleeps. Raises Halted as soon as the flow is."""
        if self._halted.wait(seconds):
            raise Halted

    def fail(self, error: BaseException) -> None:
        self._error = self._error or error
        self.halt()
        self._events.end()

    def halt(self) -> None:
        self._halted.set()
        for lane in self._lanes:
            lane.halt()

    def _drain(self, last: Iterable[object]) -> None:
        with suppress(Halted):
            for _ in last:
                pass
            self._events.end()

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()


class Crew(Generic[In, Out]):
    """The threads of one stage. They take turns at the stream; the last one to end ends the lane."""

    def __init__(
        self,
        stream: Iterator[In],
        work: Callable[[In], Iterable[Out]],
        lane: Lane[Out],
        fail: Callable[[BaseException], None],
        threads: int,
    ) -> None:
        self._stream, self._work, self._lane, self._fail = stream, work, lane, fail
        self._turn = threading.Lock()
        self._running = threads
        self._over = False

    def run_in_background(self) -> None:
        stand_back()
        self.run()

    def run(self) -> None:
        try:
            while self._work_on_one():
                pass
        except Halted:
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

    def _next(self) -> list[In]:
        """One item, or none at the end of the stream."""
        with self._turn:
            items = [] if self._over else list(islice(self._stream, 1))
            self._over = not items
            return items


def stand_back() -> None:
    """Lowers this thread's priority. A sidecar's passes wait for the slowest of their threads: where it shares our
    cores, one millisecond of ours costs it several."""
    if sys.platform == "linux":  # elsewhere a thread's number is some other process
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND)
