"""Another try where the next one may do better."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ingest.items import UnusableFile

Result = TypeVar("Result")


class Passing(Exception):
    """A failure that may pass, in words that follow the file's name. `after`: seconds that the server asks for."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True, slots=True)
class Patience:
    waits: tuple[float, ...] = (0.5, 2.0)  # seconds before the second and the third try
    longest: float = 30.0  # that a server may ask for: a worker waits meanwhile
    sleep: Callable[[float], None] = time.sleep

    def over(self, work: Callable[[], Result]) -> Result:
        """What `work` answers in the end. Raises UnusableFile when it raised Passing every time."""
        for wait in self.waits:
            try:
                return work()
            except Passing as problem:
                self.sleep(max(wait, min(problem.after, self.longest)))
        try:
            return work()
        except Passing as problem:
            raise UnusableFile(f"{problem} ({len(self.waits) + 1} tries)") from problem
