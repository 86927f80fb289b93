"""Messages between the processes of one sidecar, as frames: 4 bytes of length, 1 byte of message type, the content.

T tokens · S input side · D dimensions
"""

import asyncio
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import cast

import numpy as np

from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.queues import ITEM_KINDS, EmbeddingResult, ItemKind
from clip_vectorizer.vectors import Pixels, Vectors


class MessageType(IntEnum):
    # from a worker
    COMING = 1  # number, kind: an item is being prepared
    ITEM = 2  # number, kind, owner, key, content: an item to encode
    GONE = 3  # number, of either: it does not come, or its row is no longer needed
    PREPARED = 4  # it has loaded what READY contained
    PAGE = 5  # its metrics
    ASK_TOTALS = 6  # number: a request for the metrics of all processes
    GROUND = 7  # number, owner, width, height, length, JSON of that length: what is wanted; pixels, or numbers
    GROUND_GONE = 8  # number: the result is no longer needed
    # from the model's process
    START = 17  # a pickled WorkerConfig
    READY = 18  # a pickled Preparer, GrounderInfo or None, and CaptionerInfo or None
    OPEN = 19  # every worker is prepared
    REFUSE = 20  # a message: the model is lost
    ROW = 21  # number, seconds in the queue, seconds of the batch, cached, numbers
    FAILED = 22  # number, a message
    ASK_PAGE = 23
    TOTALS = 24  # number, a page
    GROUNDED = 25  # number, JSON: regions, a caption, or an error


NUMBER_STRUCT = struct.Struct("<Q")
COMING_STRUCT = struct.Struct("<QB")
ITEM_STRUCT = struct.Struct("<QBQ16s")
GROUND_STRUCT = struct.Struct("<QQIII")
ROW_STRUCT = struct.Struct("<Qdd?")
HEADER = struct.Struct("<IB")
SMALL_BYTES = 65_536  # larger frames are not copied once more; an image of 224 x 224 is 150,528 bytes
FramePart = bytes | bytearray | memoryview  # a memoryview of bytes: its length is its size


@dataclass(frozen=True, slots=True)
class ItemMessage:
    number: int  # the worker's own
    kind: ItemKind
    owner: int  # the request, by the worker's own number
    key: bytes
    content: PreparedText | Pixels


def pack_item(item: ItemMessage) -> tuple[FramePart, ...]:
    head = ITEM_STRUCT.pack(item.number, ITEM_KINDS.index(item.kind), item.owner, item.key)
    if isinstance(item.content, PreparedText):
        return head, np.array(item.content.ids, np.int32).tobytes()
    return head, np.ascontiguousarray(item.content).reshape(-1).data


def unpack_item(body: bytearray) -> ItemMessage:
    number, kind, owner, key = ITEM_STRUCT.unpack_from(body)
    content = unpack_text(body) if ITEM_KINDS[kind] == "text" else unpack_pixels(body)
    return ItemMessage(number, ITEM_KINDS[kind], owner, key, content)


def unpack_text(body: bytearray) -> PreparedText:
    ids = np.frombuffer(body, np.int32, offset=ITEM_STRUCT.size).tolist()
    return PreparedText(tuple(ids), len(ids))  # only the worker needs the length before truncation


def unpack_pixels(body: bytearray) -> Pixels:
    """(S, S, 3) uint8, writable: torch warns about read-only arrays."""
    pixels = np.frombuffer(body, np.uint8, offset=ITEM_STRUCT.size)
    side = math.isqrt(len(pixels) // 3)
    return pixels.reshape(side, side, 3)


def pack_row(number: int, row: EmbeddingResult) -> tuple[FramePart, ...]:
    head = ROW_STRUCT.pack(number, row.queue_seconds, row.encode_seconds, row.cached)
    return head, row.vector.astype(np.float32, copy=False).tobytes()


def unpack_row(body: bytearray) -> tuple[int, EmbeddingResult]:
    number, queue_seconds, encode_seconds, cached = ROW_STRUCT.unpack_from(body)
    vector: Vectors = np.frombuffer(body, np.float32, offset=ROW_STRUCT.size)  # not aligned; the copy is
    return number, EmbeddingResult(vector.copy(), queue_seconds, encode_seconds, cached)


class FrameStream(asyncio.BufferedProtocol):
    """One end of a stream socket. Frames arrive complete and in order; one turn of the loop sends them together."""

    def __init__(self, receive: Callable[[int, bytearray], None], lost: Callable[[], None]) -> None:
        """`receive` gets every frame; `lost` is called once, when the other end is gone or `receive` raised."""
        self._receive, self._lost = receive, lost
        self._transport: asyncio.WriteTransport | None = None
        self._small = bytearray(SMALL_BYTES)  # small frames, and the beginning of the next one
        self._kept = 0  # bytes of that beginning
        self._large: bytearray | None = None  # a frame too large for `_small`, filled by the socket itself
        self._message = self._filled = 0
        self._outgoing: list[FramePart] = []
        self._room = asyncio.Event()
        self._room.set()

    def send(self, message: int, *parts: FramePart) -> None:
        """No effect on a lost stream."""
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing += (HEADER.pack(sum(map(len, parts)), message), *parts)

    async def room(self) -> None:
        """Wait while the other end reads slower than this one sends."""
        await self._room.wait()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def get_buffer(self, _hint: int) -> memoryview:
        if self._large is not None:
            return memoryview(self._large)[self._filled :]
        return memoryview(self._small)[self._kept :]

    def buffer_updated(self, count: int) -> None:
        if self._large is None:
            self._read_small(self._kept + count)
            return
        self._filled += count
        if self._filled == len(self._large):
            body, self._large = self._large, None
            self._receive(self._message, body)

    def _read_small(self, end: int) -> None:
        """Deliver all complete frames; the last one may be incomplete."""
        small, place = self._small, 0
        while end - place >= HEADER.size:
            length, message = HEADER.unpack_from(small, place)
            start = place + HEADER.size
            if start + length > end:
                if HEADER.size + length > len(small):
                    self._begin_large(message, length, start, end)
                    place = end
                break
            place = start + length
            self._receive(message, small[start:place])
        self._kept = end - place
        small[: self._kept] = small[place:end]

    def _begin_large(self, message: int, length: int, start: int, end: int) -> None:
        self._message, self._filled, self._large = message, end - start, bytearray(length)
        self._large[: self._filled] = self._small[start:end]

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, _error: Exception | None) -> None:
        self._transport = None
        self._room.set()
        self._lost()

    def _flush(self) -> None:
        parts, self._outgoing = self._outgoing, []
        if self._transport and not self._transport.is_closing():
            self._transport.write(b"".join(parts))
