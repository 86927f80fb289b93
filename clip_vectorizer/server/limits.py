"""The limits of one sidecar, and gates that enforce the limits of its queue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from clip_vectorizer.errors import Overloaded, TooLarge
from clip_vectorizer.images.settings import LEAST_DECODED, MAX_PIXELS, ColourMode, DecodeSettings

MIB = 1024 * 1024
TEXTS_PER_PLACE = 8  # in the queue


@dataclass(frozen=True, slots=True)
class Limits:
    max_batch: int = 32  # items; past ~32 a CPU gains nothing
    max_items: int = 2048  # texts and images of one request, as many as OpenAI's own API takes
    max_images: int = 256  # of these; an image waits as some 150 kB of pixels, a text as up to 77 numbers
    max_queue: int = 1024  # items of all requests in flight, eight texts as one; above this: 503 at once
    max_queue_bytes: int = 512 * MIB  # bodies of all requests in flight; above this a body waits before it is read
    max_body_bytes: int = 112 * MIB  # Weaviate accepts 104,858,000 bytes of objects by gRPC, base64 included
    max_pixels: int = MAX_PIXELS  # of one image
    least_decoded: float = LEAST_DECODED  # the share of a damaged picture that must be there, 0 to 1
    colour: ColourMode = "srgb"
    max_text_characters: int = 20_000  # that are tokenised; far more than any context holds
    cache_bytes: int = 64 * MIB  # of vectors by content: some 27,000 of 512 dimensions
    deadline_seconds: float = 45.0  # Weaviate hangs up after 50
    hang_seconds: float = 300.0  # a batch that takes longer means that the device is lost

    @property
    def decode(self) -> DecodeSettings:
        return DecodeSettings(self.max_pixels, self.least_decoded, self.colour)

    @property
    def body_bytes(self) -> int:
        """The limit of one body, which must fit into the queue."""
        return min(self.max_body_bytes, self.max_queue_bytes)

    @property
    def request_places(self) -> int:
        """The most places in the queue that one request takes."""
        images = min(self.max_images, self.max_items)
        return count_places(self.max_items - images, images)


def count_places(texts: int, images: int) -> int:
    """Places in the queue. A text waits in a thousandth of an image's memory and is encoded several times as fast.

    >>> count_places(texts=1, images=2), count_places(texts=2048, images=0)
    (3, 256)
    """
    return images + -(-texts // TEXTS_PER_PLACE)


class Gate:
    """Counts what is in flight. Invariant: never more than `room`, and every amount that enters leaves."""

    def __init__(self, room: int, unit: str, variable: str) -> None:
        """`unit` and `variable` are for the error messages."""
        self.inside, self.room = 0, room
        self._unit, self._variable = unit, variable
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @contextmanager
    def enter(self, amount: int) -> Iterator[None]:
        """Hold `amount`. Raises Overloaded when there is no room now, TooLarge when there never will be."""
        self._check(amount)
        if not self._fits(amount):
            raise Overloaded(f"the queue is full ({self.inside} of {self.room} {self._unit}); try again in a moment")
        self.inside += amount
        try:
            yield
        finally:
            self._leave(amount)

    @asynccontextmanager
    async def wait(self, amount: int) -> AsyncIterator[None]:
        """As `enter`, but wait for room, first come, first served."""
        self._check(amount)
        if not self._fits(amount):
            await self._turn(amount)
        else:
            self.inside += amount
        try:
            yield
        finally:
            self._leave(amount)

    def _check(self, amount: int) -> None:
        if amount > self.room:
            raise TooLarge(
                f"{amount} {self._unit}, but the queue holds {self.room} ({self._variable}); send fewer at once"
            )

    def _fits(self, amount: int) -> bool:
        return not self._waiting and self.inside + amount <= self.room

    async def _turn(self, amount: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((amount, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # admitted, and cancelled before it resumed
                self._leave(amount)
            else:
                self._admit()  # later ones may fit where this one did not
            raise

    def _leave(self, amount: int) -> None:
        self.inside -= amount
        self._admit()

    def _admit(self) -> None:
        while self._waiting and (self._waiting[0][1].done() or self.inside + self._waiting[0][0] <= self.room):
            amount, turn = self._waiting.popleft()
            if not turn.done():  # done: its caller left
                self.inside += amount
                turn.set_result(None)
