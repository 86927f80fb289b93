"""The one thread of a device, on which urgent work overtakes: first in line, and at the pauses of what runs."""

import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from clip_vectorizer.models.pauses import let_in
from clip_vectorizer.threads import Job, promised

Result = TypeVar("Result")


class Line:
    """What waits for the thread, which sleeps while there is nothing: `waiting` counts both kinds."""

    def __init__(self) -> None:
        self.urgent: deque[Job] = deque()
        self.usual: deque[Job] = deque()
        self.waiting = threading.Semaphore(0)
        self.over = False

    def work_through(self) -> None:
        let_in(self.urgent_now)
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


class DeviceThread:
    """A daemon: a thread that hangs in a driver must not keep the process. It ends when nobody holds this any more."""

    def __init__(self, name: str) -> None:
        self._line: Line = Line()
        threading.Thread(target=self._line.work_through, name=f"device {name}", daemon=True).start()
        weakref.finalize(self, end, self._line)

    def submit(self, work: Callable[[], Result], urgent: bool) -> "Future[Result]":
        """Work may raise anything: its future has it, the thread lives on."""
        future, job = promised(work)
        (self._line.urgent if urgent else self._line.usual).append(job)
        self._line.waiting.release()
        return future


def end(line: Line) -> None:
    line.over = True
    line.waiting.release()
