"""Waiting for what is away: a database that restarts, a sidecar that is busy."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from clip_vectorizer.errors import Unreachable

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 15.0
TRIES = 6  # while others succeed: then it is not that somebody is away

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

    def call(self, work: Callable[[], Result]) -> Result:
        """What `work` gives. Raises its last Unreachable when patience has come to its end."""
        before = self._successes
        for tries, wait in enumerate(waits(), 1):
            try:
                result = work()
            except Unreachable as error:
                others_succeed = self._successes > before
                if self._exhausted() or (isinstance(error, NoProgress) and tries >= TRIES and others_succeed):
                    raise
                self.tell(Waiting(str(error)))
                self.pause(min(wait, self.seconds))
            else:
                self._succeeded()
                return result
        raise AssertionError("waits never end")

    def _exhausted(self) -> bool:
        with self._lock:
            now = self.clock()
            self._since = now if self._since is None else self._since
            return now - self._since >= self.seconds

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
