"""What the processes of one sidecar say to each other, as the content of frames.

T tokens · S input side · D dimensions

Frames between two processes of one sidecar: 4 bytes of length, 1 byte that says what it is, the content.
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

NUMBER_STRUCT = struct.Struct("<Q")
COMING_STRUCT = struct.Struct("<QB")
ITEM_STRUCT = struct.Struct("<QBQ16s")
ROW_STRUCT = struct.Struct("<Qdd?")
HEADER = struct.Struct("<IB")
SMALL_BYTES = 65_536  # what is copied once more on its way; a picture of 224 x 224 is 150,528 bytes


class MessageType(IntEnum):
    # a front says
    COMING = 1  # number, kind: an item is being prepared
    ITEM = 2  # number, kind, owner, key, content: its row is wanted
    GONE = 3  # number, of either: it does not come, or nobody wants its row any more
    PREPARED = 4  # it has what READY brought
    PAGE = 5  # its metrics
    ASK_TOTALS = 6  # number: the metrics of all processes are wanted
    # the engine says
    START = 17  # a pickled Start
    READY = 18  # a pickled Preparer
    OPEN = 19  # every front is prepared
    REFUSE = 20  # a sentence: there is no model any more
    ROW = 21  # number, seconds in the queue, seconds of the pass, cached, numbers
    FAILED = 22  # number, a sentence
    ASK_PAGE = 23
    TOTALS = 24  # number, a page


@dataclass(frozen=True, slots=True)
class ItemMessage:
    number: int  # the front's own
    kind: ItemKind
    owner: int  # the request, by the front's own number
    key: bytes
    content: PreparedText | Pixels


FramePart = bytes | bytearray | memoryview  # of bytes: its length is its size


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
    return PreparedText(tuple(ids), len(ids))  # how long it was before the cut is the front's business


def unpack_pixels(body: bytearray) -> Pixels:
    """(S, S, 3), writable, for torch warns of what is not."""
    pixels = np.frombuffer(body, np.uint8, offset=ITEM_STRUCT.size)
    side = math.isqrt(len(pixels) // 3)
    return pixels.reshape(side, side, 3)


def pack_row(number: int, row: EmbeddingResult) -> tuple[FramePart, ...]:
    head = ROW_STRUCT.pack(number, row.queue_seconds, row.encode_seconds, row.cached)
    return head, row.vector.astype(np.float32, copy=False).tobytes()


def unpack_row(body: bytearray) -> tuple[int, EmbeddingResult]:
    number, queue_seconds, encode_seconds, cached = ROW_STRUCT.unpack_from(body)
    vector: Vectors = np.frombuffer(
        body, np.float32, offset=ROW_STRUCT.size
    )  # 25 bytes in: numpy copes, the row is copied
    return number, EmbeddingResult(vector.copy(), queue_seconds, encode_seconds, cached)


class FrameStream(asyncio.BufferedProtocol):
    """One end of a stream socket. Frames arrive whole and in order; what one turn of the loop sends goes at once."""

    def __init__(self, hear: Callable[[int, bytearray], None], lost: Callable[[], None]) -> None:
        """`hear` gets every frame; `lost` is called once, when the other end is gone or `hear` raised."""
        self._hear, self._lost = hear, lost
        self._transport: asyncio.WriteTransport | None = None
        self._small = bytearray(SMALL_BYTES)  # beginnings, and all that is small
        self._held = 0  # bytes of a beginning in `_small`
        self._large: bytearray | None = None  # a frame too large for that, which the socket fills itself
        self._word = self._filled = 0
        self._going: list[FramePart] = []
        self._room = asyncio.Event()
        self._room.set()

    def send(self, word: int, *parts: FramePart) -> None:
        """Nothing happens on a line that is lost: its end hears of that elsewhere."""
        if not self._going:
            asyncio.get_running_loop().call_soon(self._flush)
        self._going += (HEADER.pack(sum(map(len, parts)), word), *parts)

    async def room(self) -> None:
        """Waits while the other end reads slower than this one sends."""
        await self._room.wait()

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def get_buffer(self, _hint: int) -> memoryview:
        if self._large is not None:
            return memoryview(self._large)[self._filled :]
        return memoryview(self._small)[self._held :]

    def buffer_updated(self, count: int) -> None:
        if self._large is None:
            self._read_small(self._held + count)
            return
        self._filled += count
        if self._filled == len(self._large):
            body, self._large = self._large, None
            self._hear(self._word, body)

    def _read_small(self, end: int) -> None:
        """Frames that are whole are heard; the last one may have only begun."""
        small, place = self._small, 0
        while end - place >= HEADER.size:
            length, word = HEADER.unpack_from(small, place)
            start = place + HEADER.size
            if start + length > end:
                if HEADER.size + length > len(small):
                    self._begin_large(word, length, start, end)
                    place = end
                break
            place = start + length
            self._hear(word, small[start:place])
        self._held = end - place
        small[: self._held] = small[place:end]

    def _begin_large(self, word: int, length: int, start: int, end: int) -> None:
        self._word, self._filled, self._large = word, end - start, bytearray(length)
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
        parts, self._going = self._going, []
        if self._transport and not self._transport.is_closing():
            self._transport.write(b"".join(parts))
