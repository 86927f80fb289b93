"""Frames between two processes of one sidecar: 4 bytes of length, 1 byte that says what it is, the content."""

import asyncio
import struct
from collections.abc import Callable
from typing import cast

HEADER = struct.Struct("<IB")
Part = bytes | bytearray | memoryview  # of bytes: its length is its size


class Line(asyncio.Protocol):
    """One end of a stream socket. Frames arrive whole and in order; what one turn of the loop sends goes at once."""

    def __init__(self, hear: Callable[[int, bytearray], None], lost: Callable[[], None]) -> None:
        """`hear` gets every frame; `lost` is called once, when the other end is gone or `hear` raised."""
        self._hear, self._lost = hear, lost
        self._transport: asyncio.WriteTransport | None = None
        self._coming = bytearray()
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

    def data_received(self, data: bytes) -> None:
        coming, place = self._coming, 0
        coming += data
        while len(coming) >= place + HEADER.size:
            length, word = HEADER.unpack_from(coming, place)
            start = place + HEADER.size
            if len(coming) < start + length:
                break
            place = start + length
            self._hear(word, coming[start:place])
        del coming[:place]

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
