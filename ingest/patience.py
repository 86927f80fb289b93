"""Waiting for what is away: a database that restarts, a sidecar that is busy."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from clip_vectorizer.errors import Unreachable

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 15.0
TRIES = 6  # 15 s in all, while others succeed: then it is not that somebody is away

Result = TypeVar("Result")


class NoProgress(Unreachable):
    """Somebody answered and did nothing of what was asked, for a reason that may pass."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nobody is there; another try is made in a while."""

    reason: str


@dataclass(slots=True)
class Patience:
    """Tries again until `seconds` have passed without any success, whichever thread had it.

    `pause` sleeps, `tell` hears of every wait.
    """

    seconds: float
    pause: Callable[[float], None] = time.sleep
    tell: Callable[[Waiting], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    _since: float | None = None  # when the first of the tries failed that nothing has succeeded after
    _successes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, work: Callable[[], Result], alive: bool = False) -> Result:
        """What `work` gives. Raises its last Unreachable when patience has come to its end.

        `alive`: somebody was there a moment ago, so that NoProgress tells of what was asked, not of who was asked.
        """
        before, stuck = self._successes, 0
        for wait in waits():
            try:
                result = work()
            except Unreachable as error:
                stuck += isinstance(error, NoProgress)
                if self._exhausted() or (stuck >= TRIES and (alive or self._successes > before)):
                    raise
                self.tell(Waiting(str(error)))
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


def waits() -> Iterator[float]:
    """Each twice as long as the one before."""
    wait = FIRST_WAIT_SECONDS
    while True:
        yield wait
        wait = min(2 * wait, LONGEST_WAIT_SECONDS)
