"""What one sidecar takes in, and the gate that holds the queue to it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clip_vectorizer.errors import Overloaded, TooLarge


@dataclass(frozen=True, slots=True)
class Limits:
    max_batch: int = 32  # items in one pass; past ~32 a CPU gains nothing
    max_items: int = 256  # texts and images of one request
    max_queue: int = 1024  # items of all requests in flight; above this: 503 at once
    max_body_bytes: int = 112 * 1024 * 1024  # Weaviate lets in 104,858,000 bytes of objects by gRPC, base64 and all
    max_pixels: int = 100_000_000  # of one image; 100 megapixels decode to 300 MB, with alpha to several times that
    max_text_characters: int = 20_000  # what a tokenizer gets to see; far more than any context holds
    deadline_seconds: float = 45.0  # Weaviate hangs up after 50


class Gate:
    """Counts the items in flight. Invariant: never more than `room`, and every item that entered leaves."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.inside = 0

    @contextmanager
    def enter(self, items: int) -> Iterator[None]:
        """Holds `items` places. Raises Overloaded when there are not that many, TooLarge when there never will be."""
        if items > self._room:
            raise TooLarge(f"{items} items, but the queue holds {self._room} (CLIP_MAX_QUEUE); send fewer at once")
        if self.inside + items > self._room:
            raise Overloaded(f"the queue is full ({self.inside} of {self._room} items); try again in a moment")
        self.inside += items
        try:
            yield
        finally:
            self.inside -= items
