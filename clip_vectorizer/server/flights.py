"""Equal work at the same time is done once: whoever asks for what is being made waits for that."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


@dataclass(slots=True, eq=False)
class Flight(Generic[Result]):
    task: "asyncio.Task[Result]"
    passengers: int = 0


class Flights(Generic[Result]):
    """Work by key. Invariant: work goes on as long as anybody waits for it, and no longer."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight[Result]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._flights

    async def join(self, key: bytes, start: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
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

    def _land(self, key: bytes, flight: Flight[Result]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]  # at once: nobody may join what is being cancelled
        flight.task.cancel()  # nothing happens to one that is done
