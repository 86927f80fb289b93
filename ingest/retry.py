"""Retries: of a database or sidecar that is unreachable or busy, and of single downloads."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from clip_vectorizer.errors import Unreachable
from ingest.items import UnusableFile

FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 15.0
MAX_STUCK_TRIES = (
    6  # 15 s in all, while other requests succeed: then the server is reachable and the request is at fault
)

ResultT = TypeVar("ResultT")


class NoProgress(Unreachable):
    """The server answered but rejected everything, for a transient reason."""


@dataclass(frozen=True, slots=True)
class RetryWait:
    """Event: a server is unreachable; the request is repeated after a pause."""

    reason: str


@dataclass(slots=True)
class Patience:
    """Repeat requests until `seconds` have passed without a success in any of the threads that share this object.

    `pause` sleeps; `on_wait` is called before every pause.

        >>> tries = iter([Unreachable("restarting"), None])
        >>> def request():
        ...     if error := next(tries):
        ...         raise error
        ...     return "stored"
        >>> Patience(60, pause=lambda seconds: print(f"wait {seconds} s")).call(request)
        wait 0.5 s
        'stored'
    """

    seconds: float
    pause: Callable[[float], None] = time.sleep
    on_wait: Callable[[RetryWait], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    _since: float | None = None  # the first failure after the last success, by the clock
    _successes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, work: Callable[[], ResultT], alive: bool = False) -> ResultT:
        """Return the result of `work`. Raises its last Unreachable when the time is over.

        `alive`: the server accepted something a moment ago, so that NoProgress is the fault of the request.
        """
        before, stuck = self._successes, 0
        for wait in iterate_waits():
            try:
                result = work()
            except Unreachable as error:
                stuck += isinstance(error, NoProgress)
                if self._exhausted() or (stuck >= MAX_STUCK_TRIES and (alive or self._successes > before)):
                    raise
                self.on_wait(RetryWait(str(error)))
                self.pause(min(wait, self.seconds))
            else:
                self._succeeded()
                return result
        raise AssertionError("waits never end")

    @property
    def is_exhausted(self) -> bool:
        """Whether `seconds` have passed without a success."""
        return self._since is not None and self.clock() - self._since >= self.seconds

    def _exhausted(self) -> bool:
        with self._lock:
            self._since = self.clock() if self._since is None else self._since
            return self.is_exhausted

    def _succeeded(self) -> None:
        with self._lock:
            self._since = None
            self._successes += 1


def iterate_waits() -> Iterator[float]:
    """Yield pauses in seconds, each twice as long as the one before, up to MAX_WAIT_SECONDS."""
    wait = FIRST_WAIT_SECONDS
    while True:
        yield wait
        wait = min(2 * wait, MAX_WAIT_SECONDS)


class TransientFailure(Exception):
    """A failure that another try may avoid. Its text follows the file's name; `after`: seconds from Retry-After."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """A fixed number of tries for one download."""

    waits: tuple[float, ...] = (0.5, 2.0)  # seconds before the second and the third try
    longest: float = 30.0  # seconds, however long Retry-After is: a worker waits meanwhile
    sleep: Callable[[float], None] = time.sleep

    def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Return the result of `work`. Raises UnusableFile when every attempt raised TransientFailure."""
        for wait in self.waits:
            try:
                return work()
            except TransientFailure as problem:
                self.sleep(max(wait, min(problem.after, self.longest)))
        try:
            return work()
        except TransientFailure as problem:
            raise UnusableFile(f"{problem} ({len(self.waits) + 1} tries)") from problem
