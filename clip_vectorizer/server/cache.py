"""The rows of earlier requests by content, and work on equal inputs at the same time, which is done once.

D dimensions
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from clip_vectorizer.vectors import Vectors

KEY_BYTES = 16  # 128 bits: two inputs with the same key are less likely than a memory error
ENTRY_BYTES = 300  # Python's overhead per row: key, array object, place in the table

ResultT = TypeVar("ResultT")


class VectorCache:
    """The most recently used rows, up to `max_bytes`; 0 stores none. Equal inputs get equal bits from it."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._rows: OrderedDict[bytes, Vectors] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes) -> Vectors | None:
        """The row (D,) of `key`, read-only."""
        row = self._rows.get(key)
        if row is not None:
            self._rows.move_to_end(key)
        return row

    def put(self, key: bytes, row: Vectors) -> None:
        """Store a copy of `row` (D,)."""
        copy = np.array(row)  # a view would keep its whole batch alive
        copy.flags.writeable = False
        if key in self._rows:
            self.size_bytes -= entry_bytes(self._rows.pop(key))
        self._rows[key] = copy
        self.size_bytes += entry_bytes(copy)
        while self.size_bytes > self._max_bytes:
            self.size_bytes -= entry_bytes(self._rows.popitem(last=False)[1])


def entry_bytes(row: Vectors) -> int:
    return row.nbytes + ENTRY_BYTES


def content_key(kind: bytes, content: bytes) -> bytes:
    """The key of an input. `kind` (at most 16 bytes) separates a text and an image of equal bytes.

    >>> content_key(b"text", b"owl") == content_key(b"image", b"owl")
    False
    """
    return hashlib.blake2b(content, digest_size=KEY_BYTES, person=kind).digest()


@dataclass(slots=True, eq=False)
class Flight(Generic[ResultT]):
    """Work in progress for one key, and how many callers wait for it."""

    key: bytes
    future: "asyncio.Future[ResultT]"
    waiters: int = 0


class SingleFlight(Generic[ResultT]):
    """Concurrent callers of one key share the work.

    Invariant: work is in progress as long as any caller waits for it, and no longer.
    """

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight[ResultT]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._flights

    async def join(self, key: bytes, start: Callable[[], "asyncio.Future[ResultT]"]) -> ResultT:
        """The result of the work in progress for `key`, or of `start()` where there is none."""
        flight = self.enter(key, start)
        try:
            return await asyncio.shield(flight.future)
        finally:
            self.leave(flight)

    def enter(self, key: bytes, start: Callable[[], "asyncio.Future[ResultT]"]) -> Flight[ResultT]:
        """As `join`, for a caller that waits in its own way. It must `leave` exactly once."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight(key, start())
        flight.waiters += 1
        return flight

    def leave(self, flight: Flight[ResultT]) -> None:
        """Stop waiting. The last caller that leaves cancels unfinished work."""
        flight.waiters -= 1
        if flight.waiters:
            return
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]  # first: a new caller must not join work that is being cancelled
        flight.future.cancel()  # no effect on finished work
