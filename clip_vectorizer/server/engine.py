"""From an item to its row: from the cache, from equal work in progress, or prepared and put into a batch.

D dimensions
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image

from clip_vectorizer.images.pixel_check import digest_pixels
from clip_vectorizer.images.settings import DecodeSettings
from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.models.encoder import ModelInfo, PreparedText, Preparer
from clip_vectorizer.region_crops import cut_region
from clip_vectorizer.server.captioning import CaptioningBackend
from clip_vectorizer.server.decode import count_pixels, decode_pixels
from clip_vectorizer.server.grounding import GroundingBackend, ScoringBackend, open_picture
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.queues import EmbeddingResult, FairPool, ItemKind
from clip_vectorizer.threads import DaemonThreads
from clip_vectorizer.vectors import Pixels, Vectors

QUICK_PIXELS, QUICK_BYTES = 2_000_000, 500_000  # decoded in some 10 ms
MAX_LIGHT_PIXELS = 16_000_000  # larger images are decoded one at a time: they take seconds and hundreds of megabytes
MAX_INLINE_HASH_BYTES = 1_000_000  # hashing more would block the event loop for over a millisecond
KEY_BYTES = 16  # 128 bits: two inputs with the same key are less likely than a memory error
ENTRY_BYTES = 300  # Python's overhead per row: key, array object, place in the table

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class EmbeddedItem:
    """A row and its source. `prepare_seconds`: from the bytes to the queue, waiting for a thread included."""

    row: EmbeddingResult
    prepare_seconds: float = 0.0
    cached: bool = False
    joined: bool = False  # to equal work in progress


class EncodingBackend(Protocol):
    """Encodes prepared items: a `Batcher`, or the connection to the process that has one."""

    def announced(self, kind: ItemKind) -> AbstractContextManager[None]:
        """Announce that an item is being prepared and will be encoded next."""

    async def encode(self, kind: ItemKind, owner: object, item: PreparedText | Pixels, key: bytes) -> EmbeddingResult:
        """Raises EncoderFailed. `key` is of the item's content: equal keys may share one batch entry."""


class Engine:
    """Equal inputs get bit-equal rows: from the cache, or from one batch entry that concurrent callers share.

    An input that has left the cache is encoded again, perhaps in another batch, and may differ in the last bits.
    """

    def __init__(
        self,
        encoders: Sequence[Preparer],
        backend: EncodingBackend,
        limits: Limits,
        decode_threads: int,
        grounding: GroundingBackend | None = None,
        captioning: CaptioningBackend | None = None,
        scoring: ScoringBackend | None = None,
    ) -> None:
        self.grounding, self.captioning, self.scoring = grounding, captioning, scoring
        self._encoder, self._backend, self._limits = encoders[0], backend, limits
        self.cache = VectorCache(limits.cache_bytes)
        self._flights: SingleFlight[EmbeddedItem] = SingleFlight()
        threads = min(decode_threads, usable_cores())
        self._light = FairPool(DaemonThreads(threads, "decode"), threads)
        self._heavy = FairPool(DaemonThreads(1, "decode-large"), 1)

    @property
    def info(self) -> ModelInfo:
        return self._encoder.info

    @cached_property
    def pixel_check(self) -> str:
        """What `ModelInfo.pixel_check` is for. It takes some milliseconds once."""
        settings = DecodeSettings(colour=self._limits.decode.colour)
        return digest_pixels(self.info.image_size, settings, self._encoder.prepare_image)

    def prepare_text(self, text: str) -> PreparedText:
        return self._encoder.prepare_text(text)

    async def text(self, owner: object, text: PreparedText) -> EmbeddedItem:
        """The row of a text. `owner` is its request: requests take turns. Raises EncoderFailed."""
        key = content_key(b"text", b"%d " * len(text.ids) % text.ids)
        return self._find(key) or await self._join(key, lambda: self._encode_text(key, owner, text))

    async def image(self, owner: object, data: bytes) -> EmbeddedItem:
        """The row of an image file. Raises ImageRefused, EncoderFailed."""
        large = len(data) > MAX_INLINE_HASH_BYTES
        key = await asyncio.to_thread(content_key, b"image", data) if large else content_key(b"image", data)
        return self._find(key) or await self._join(key, lambda: self._encode_image(key, owner, data))

    async def open_picture(self, owner: object, data: bytes) -> Image.Image:
        """The picture of an image file, for a grounder. Raises ImageRefused."""
        large = count_pixels(data, self._limits.decode) > MAX_LIGHT_PIXELS
        pool = self._heavy if large else self._light
        return await pool.run(owner, open_picture, data, self._limits.decode)

    async def region(self, owner: object, picture: Image.Image, share: Sequence[float]) -> EmbeddedItem:
        """The row of a part of a picture, as that of an image of its own (`region_crops`). Raises EncoderFailed."""
        with self._backend.announced("image"):
            pixels = await self._light.run(owner, prepare_region, self._encoder, picture, share)
        key = content_key(b"pixels", np.ascontiguousarray(pixels).data)
        return self._find(key) or await self._join(key, lambda: self._encode_pixels(key, owner, pixels))

    async def _encode_pixels(self, key: bytes, owner: object, pixels: Pixels) -> EmbeddedItem:
        return self._store(key, EmbeddedItem(await self._backend.encode("image", owner, pixels, key)))

    def _find(self, key: bytes) -> EmbeddedItem | None:
        vector = self.cache.get(key)
        return None if vector is None else EmbeddedItem(EmbeddingResult(vector), cached=True)

    async def _join(self, key: bytes, encode: Callable[[], Coroutine[Any, Any, EmbeddedItem]]) -> EmbeddedItem:
        in_progress = key in self._flights
        item = await self._flights.join(key, lambda: asyncio.create_task(encode()))
        return replace(item, joined=True) if in_progress else item

    async def _encode_text(self, key: bytes, owner: object, text: PreparedText) -> EmbeddedItem:
        row = await self._backend.encode("text", owner, text, key)
        return self._store(key, EmbeddedItem(row, cached=row.cached))

    async def _encode_image(self, key: bytes, owner: object, data: bytes) -> EmbeddedItem:
        start = time.perf_counter()
        pixels = await self._decode(owner, data)
        seconds = time.perf_counter() - start
        row = await self._backend.encode("image", owner, pixels, key)
        return self._store(key, EmbeddedItem(row, seconds, row.cached))

    async def _decode(self, owner: object, data: bytes) -> Pixels:
        """Pixels of an image file. A batch waits for files that take milliseconds, and for no others."""
        work = self._encoder, data, self._limits.decode
        if len(data) <= QUICK_BYTES and count_pixels(data, self._limits.decode) <= QUICK_PIXELS:
            with self._backend.announced("image"):
                return await self._light.run(owner, decode_pixels, *work)
        pixels = await self._light.run(owner, decode_if_light, *work)
        return await self._heavy.run(owner, decode_pixels, *work) if pixels is None else pixels

    def _store(self, key: bytes, item: EmbeddedItem) -> EmbeddedItem:
        self.cache.put(key, item.row.vector)
        vector = self.cache.get(key)
        return item if vector is None else replace(item, row=replace(item.row, vector=vector))


def decode_if_light(encoder: Preparer, data: bytes, settings: DecodeSettings) -> Pixels | None:
    """The pixels of an image of usual size, None for one that must be decoded alone."""
    return None if count_pixels(data, settings) > MAX_LIGHT_PIXELS else decode_pixels(encoder, data, settings)


def prepare_region(encoder: Preparer, picture: Image.Image, share: Sequence[float]) -> Pixels:
    return encoder.prepare_image(cut_region(picture, share))


class VectorCache:
    """The most recently used rows, up to `max_bytes`; 0 stores none. Equal inputs get equal bits from it."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
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
        while self.size_bytes > self.max_bytes:
            self.size_bytes -= entry_bytes(self._rows.popitem(last=False)[1])


def entry_bytes(row: Vectors) -> int:
    return row.nbytes + ENTRY_BYTES


def content_key(kind: bytes, content: bytes | memoryview) -> bytes:
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
