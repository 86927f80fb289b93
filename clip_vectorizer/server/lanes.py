"""Items that wait for the model, and the rows they get.

D dimensions
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from clip_vectorizer.server.fair import FairQueue
from clip_vectorizer.vectors import Vectors

Kind = Literal["text", "image"]
KINDS: tuple[Kind, ...] = ("text", "image")


@dataclass(frozen=True, slots=True)
class Row:
    """A unit row (D,) and what it took: seconds in the queue, and of the pass it was in."""

    vector: Vectors
    queue_seconds: float = 0.0
    encode_seconds: float = 0.0
    cached: bool = False  # no pass was run for it


@dataclass(frozen=True, slots=True)
class Waiting:
    item: Any
    row: "asyncio.Future[Row]"
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one pass was: for whoever counts."""

    kind: Kind
    size: int
    seconds: float
    waits_seconds: tuple[float, ...]


class Lane:
    """Items of one kind: those that wait, and tickets of those that are being prepared."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.waiting: FairQueue[Waiting] = FairQueue()
        self.coming: set[object] = set()

    def take(self, limit: int) -> list[Waiting]:
        """The next items whose callers are still there, at most `limit`."""
        batch: list[Waiting] = []
        while self.waiting and len(batch) < limit:
            item = self.waiting.pop()
            if not item.row.done():  # done: the client went away, or its deadline passed
                batch.append(item)
        return batch
