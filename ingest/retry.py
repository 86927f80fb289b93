"""Waiting for what is away: a database that restarts, a sidecar that is busy.

Another try where the next one may do better.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from clip_vectorizer.errors import Unreachable
from ingest.items import UnusableFile

FIRST_WAIT_SECONDS = 0.5
MAX_WAIT_SECONDS = 15.0
MAX_STUCK_TRIES = 6  # 15 s in all, while others succeed: then it is not that somebody is away

ResultT = TypeVar("ResultT")


class NoProgress(Unreachable):
    """Somebody answered and did nothing of what was asked, for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class RetryWait:
    """Nobody is there; another try is made in a while."""

    reason: str


@dataclass(slots=True)
class Patience:
    """Tries again until `seconds` have passed without any success, whichever thread had it.

    `pause` sleeps, `tell` hears of every wait.
    """

    seconds: float
    pause: Callable[[float], None] = time.sleep
    tell: Callable[[RetryWait], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    _since: float | None = None  # when the first of the tries failed that nothing has succeeded after
    _successes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, work: Callable[[], ResultT], alive: bool = False) -> ResultT:
        """What `work` gives. Raises its last Unreachable when patience has come to its end.

        `alive`: somebody was there a moment ago, so that NoProgress tells of what was asked, not of who was asked.
        """
        before, stuck = self._successes, 0
        for wait in iterate_waits():
            try:
                result = work()
            except Unreachable as error:
                stuck += isinstance(error, NoProgress)
                if self._exhausted() or (stuck >= MAX_STUCK_TRIES and (alive or self._successes > before)):
                    raise
                self.tell(RetryWait(str(error)))
                self.pause(min(wait, self.seconds))
            else:
                self._succeeded()
                return result
        raise AssertionError("waits never end")

    @property
    def is_exhausted(self) -> bool:
        """Whether the last failure was one too many."""
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
    """Each twice as long as the one before."""
    wait = FIRST_WAIT_SECONDS
    while True:
        yield wait
        wait = min(2 * wait, MAX_WAIT_SECONDS)


class TransientFailure(Exception):
    """A failure that may pass, in words that follow the file's name. `after`: seconds that the server asks for."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    waits: tuple[float, ...] = (0.5, 2.0)  # seconds before the second and the third try
    longest: float = 30.0  # that a server may ask for: a worker waits meanwhile
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
