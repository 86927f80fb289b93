"""Rows of what was asked before, by content: the same input gets the same bits, whatever else is in its batch.

D dimensions

Equal work at the same time is done once: whoever asks for what is being made waits for that.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from clip_vectorizer.vectors import Vectors

KEY_BYTES = 16  # 128 bits: two inputs of equal key are less likely than a memory error
ENTRY_BYTES = 300  # what Python adds to the numbers of one row: key, array object, place in the table


class VectorCache:
    """The rows used last, within `max_bytes`; 0 keeps none."""

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
        kept = np.array(row)  # of its own: a view would keep its whole batch alive
        kept.flags.writeable = False
        if key in self._rows:
            self.size_bytes -= entry_bytes(self._rows.pop(key))
        self._rows[key] = kept
        self.size_bytes += entry_bytes(kept)
        while self.size_bytes > self._max_bytes:
            self.size_bytes -= entry_bytes(self._rows.popitem(last=False)[1])


def entry_bytes(row: Vectors) -> int:
    return row.nbytes + ENTRY_BYTES


def content_key(kind: bytes, content: bytes) -> bytes:
    """`kind` (at most 16 bytes) keeps a text and an image of equal bytes apart."""
    return hashlib.blake2b(content, digest_size=KEY_BYTES, person=kind).digest()


ResultT = TypeVar("ResultT")


@dataclass(slots=True, eq=False)
class Flight(Generic[ResultT]):
    task: "asyncio.Task[ResultT]"
    passengers: int = 0


class SingleFlight(Generic[ResultT]):
    """Work by key. Invariant: work goes on as long as anybody waits for it, and no longer."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight[ResultT]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._flights

    async def join(self, key: bytes, start: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """What the work under way for `key` gives, or `start()` where there is none."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight(asyncio.create_task(start()))
        flight.passengers += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.passengers -= 1
            if not flight.passengers:
                self._land(key, flight)

    def _land(self, key: bytes, flight: Flight[ResultT]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]  # at once: nobody may join what is being cancelled
        flight.task.cancel()  # nothing happens to one that is done
