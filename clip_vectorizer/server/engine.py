"""From an item to its row: looked up, joined to equal work under way, or prepared and put into a batch."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.models.encoder import ModelInfo, PreparedText, Preparer
from clip_vectorizer.server.cache import SingleFlight, VectorCache, content_key
from clip_vectorizer.server.decode import count_pixels, decode_pixels
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.queues import EmbeddingResult, FairPool, ItemKind
from clip_vectorizer.threads import DaemonThreads
from clip_vectorizer.vectors import Pixels

QUICK_PIXELS, QUICK_BYTES = 2_000_000, 500_000  # decoded in some 10 ms
MAX_LIGHT_PIXELS = 16_000_000  # larger pictures are decoded one at a time: they take seconds and hundreds of megabytes
MAX_INLINE_HASH_BYTES = 1_000_000  # bytes; hashing more would hold up the event loop for over a millisecond


@dataclass(frozen=True, slots=True)
class EmbeddedItem:
    """A row and how it came: `prepare_seconds` from the bytes to the queue, waiting for a thread included."""

    row: EmbeddingResult
    prepare_seconds: float = 0.0
    cached: bool = False
    joined: bool = False  # to equal work that was under way


class EncodingBackend(Protocol):
    """Where prepared items become rows: a `Batcher`, or the process that has one."""

    def announced(self, kind: ItemKind) -> AbstractContextManager[None]:
        """While an item is being prepared that will be handed in right after."""

    async def encode(self, kind: ItemKind, owner: object, item: PreparedText | Pixels, key: bytes) -> EmbeddingResult:
        """Raises EncoderFailed. `key` is of the item's content: equal keys may share one pass."""


class Engine:
    """Equal inputs get bit-equal rows: from the cache, or from the one pass that all who ask meanwhile wait for.

    What has left the cache is computed again, in another batch perhaps, and may then differ in the last bits.
    """

    def __init__(
        self, encoders: Sequence[Preparer], batcher: EncodingBackend, limits: Limits, decode_threads: int
    ) -> None:
        self._encoder, self._batcher, self._limits = encoders[0], batcher, limits
        self.cache = VectorCache(limits.cache_bytes)
        self._flights: SingleFlight[EmbeddedItem] = SingleFlight()
        threads = min(decode_threads, usable_cores())
        self._light = FairPool(DaemonThreads(threads, "decode"), threads)
        self._heavy = FairPool(DaemonThreads(1, "decode-large"), 1)

    @property
    def info(self) -> ModelInfo:
        return self._encoder.info

    def prepare_text(self, text: str) -> PreparedText:
        return self._encoder.prepare_text(text)

    async def text(self, owner: object, text: PreparedText) -> EmbeddedItem:
        """Raises EncoderFailed."""
        key = content_key(b"text", b"%d " * len(text.ids) % text.ids)
        return self._known(key) or await self._joined(key, lambda: self._encoded_text(key, owner, text))

    async def image(self, owner: object, data: bytes) -> EmbeddedItem:
        """Raises ImageRefused, EncoderFailed."""
        large = len(data) > MAX_INLINE_HASH_BYTES
        key = await asyncio.to_thread(content_key, b"image", data) if large else content_key(b"image", data)
        return self._known(key) or await self._joined(key, lambda: self._encoded_image(key, owner, data))

    def _known(self, key: bytes) -> EmbeddedItem | None:
        vector = self.cache.get(key)
        return None if vector is None else EmbeddedItem(EmbeddingResult(vector), cached=True)

    async def _joined(self, key: bytes, start: Callable[[], Coroutine[Any, Any, EmbeddedItem]]) -> EmbeddedItem:
        under_way = key in self._flights
        made = await self._flights.join(key, start)
        return replace(made, joined=True) if under_way else made

    async def _encoded_text(self, key: bytes, owner: object, text: PreparedText) -> EmbeddedItem:
        return self._kept(key, build_embedded_item(await self._batcher.encode("text", owner, text, key)))

    async def _encoded_image(self, key: bytes, owner: object, data: bytes) -> EmbeddedItem:
        start = time.perf_counter()
        pixels = await self._pixels(owner, data)
        seconds = time.perf_counter() - start
        return self._kept(key, build_embedded_item(await self._batcher.encode("image", owner, pixels, key), seconds))

    async def _pixels(self, owner: object, data: bytes) -> Pixels:
        """A batch waits for those that take milliseconds, and for no other."""
        work = self._encoder, data, self._limits.max_pixels
        if len(data) <= QUICK_BYTES and count_pixels(data, self._limits.max_pixels) <= QUICK_PIXELS:
            with self._batcher.announced("image"):
                return await self._light.run(owner, decode_pixels, *work)
        pixels = await self._light.run(owner, prepare_if_light, *work)
        return await self._heavy.run(owner, decode_pixels, *work) if pixels is None else pixels

    def _kept(self, key: bytes, made: EmbeddedItem) -> EmbeddedItem:
        self.cache.put(key, made.row.vector)
        vector = self.cache.get(key)
        return made if vector is None else replace(made, row=replace(made.row, vector=vector))


def build_embedded_item(row: EmbeddingResult, prepare_seconds: float = 0.0) -> EmbeddedItem:
    return EmbeddedItem(row, prepare_seconds, row.cached)


def prepare_if_light(encoder: Preparer, data: bytes, max_pixels: int) -> Pixels | None:
    """The pixels of a picture of usual size, None for one that must go the other way."""
    return None if count_pixels(data, max_pixels) > MAX_LIGHT_PIXELS else decode_pixels(encoder, data, max_pixels)
