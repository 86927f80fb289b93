"""Frames between two processes of one sidecar: 4 bytes of length, 1 byte that says what it is, the content."""

import asyncio
import struct
from collections.abc import Callable
from typing import cast

HEADER = struct.Struct("<IB")
SMALL_BYTES = 65_536  # what is copied once more on its way; a picture of 224 x 224 is 150,528 bytes
Part = bytes | bytearray | memoryview  # of bytes: its length is its size


class Line(asyncio.BufferedProtocol):
    """One end of a stream socket. Frames arrive whole and in order; what one turn of the loop sends goes at once."""

    def __init__(self, hear: Callable[[int, bytearray], None], lost: Callable[[], None]) -> None:
        """`hear` gets every frame; `lost` is called once, when the other end is gone or `hear` raised."""
        self._hear, self._lost = hear, lost
        self._transport: asyncio.WriteTransport | None = None
        self._small = bytearray(SMALL_BYTES)  # beginnings, and all that is small
        self._held = 0  # bytes of a beginning in `_small`
        self._large: bytearray | None = None  # a frame too large for that, which the socket fills itself
        self._word = self._filled = 0
        self._going: list[Part] = []
        self._room = asyncio.Event()
        self._room.set()

    def send(self, word: int, *parts: Part) -> None:
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
