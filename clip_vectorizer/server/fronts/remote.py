"""A front's way to the model: items go out, rows come back."""

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.fronts.line import Line
from clip_vectorizer.server.fronts.words import COMING, NUMBER, Item, Word, item_parts, row_of
from clip_vectorizer.server.lanes import KINDS, Kind, Row
from clip_vectorizer.vectors import Pixels


class RemoteRows:
    """Stands where a `Batcher` stands in a sidecar of one process. Every caller gets one answer if the line holds."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Row]] = {}

    @contextmanager
    def announced(self, kind: Kind) -> Iterator[None]:
        """While an item is being prepared that will be handed in right after."""
        number = next(self._numbers)
        self._line.send(Word.COMING, COMING.pack(number, KINDS.index(kind)))
        try:
            yield
        finally:  # a turn later, so that the item itself goes first: else a batch would leave without it
            asyncio.get_running_loop().call_soon(self._line.send, Word.GONE, NUMBER.pack(number))

    async def encode(self, kind: Kind, owner: object, item: PreparedText | Pixels, key: bytes) -> Row:
        """Raises EncoderFailed, in the words of the process that has the model."""
        number = next(self._numbers)
        row: asyncio.Future[Row] = asyncio.get_running_loop().create_future()
        self._waiting[number] = row
        self._line.send(Word.ITEM, *item_parts(Item(number, kind, id(owner), key, item)))
        try:
            await self._line.room()
            return await row
        finally:
            del self._waiting[number]
            if not row.done() or row.cancelled():  # the caller left first
                self._line.send(Word.GONE, NUMBER.pack(number))

    def row(self, body: bytearray) -> None:
        number, row = row_of(body)
        if (waiting := self._waiting.get(number)) and not waiting.done():
            waiting.set_result(row)

    def failed(self, body: bytearray) -> None:
        [number] = NUMBER.unpack_from(body)
        if (waiting := self._waiting.get(number)) and not waiting.done():
            waiting.set_exception(EncoderFailed(body[NUMBER.size :].decode()))
