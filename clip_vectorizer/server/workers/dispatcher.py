"""Where rows are decided for all fronts: one cache, one pass for equal work at the same time.

The engine's side of one front: what it asks for, and what it announces.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.cache import VectorCache
from clip_vectorizer.server.queues import ITEM_KINDS, EmbeddingResult, ItemKind
from clip_vectorizer.server.workers.ipc import (
    COMING_STRUCT,
    NUMBER_STRUCT,
    FrameStream,
    ItemMessage,
    MessageType,
    pack_row,
    unpack_item,
)
from clip_vectorizer.vectors import Pixels

RowCallback = Callable[[EmbeddingResult | EncoderFailed], None]
CancelFunction = Callable[[], None]


@dataclass(slots=True, eq=False)
class PendingRow:
    """One item on its way through the batcher, and who waits for its row."""

    key: bytes
    row: "asyncio.Future[EmbeddingResult]"
    tells: dict[object, RowCallback] = field(default_factory=dict)


class Dispatcher:
    """Equal keys get bit-equal rows, whichever front asks, as long as the cache holds them.

    No task of its own for an item: this is the one place that every item of every front goes through. Work goes on as
    long as anybody waits for it.
    """

    def __init__(self, batcher: Batcher, cache: VectorCache) -> None:
        self.batcher, self.cache = batcher, cache
        self._under_way: dict[bytes, PendingRow] = {}

    def ask(self, item: ItemMessage, owner: object, tell: RowCallback) -> CancelFunction | None:
        """`tell` hears the row, or why there is none: now, and None is returned; or later, or never for who leaves."""
        known = self.cache.get(item.key)
        if known is not None:
            tell(EmbeddingResult(known, cached=True))
            return None
        try:
            work = self._under_way.get(item.key) or self._started(item.key, item.kind, owner, item.content)
        except EncoderFailed as error:
            tell(error)
            return None
        place = object()
        work.tells[place] = tell
        return partial(self._leave, work, place)

    def _started(self, key: bytes, kind: ItemKind, owner: object, content: PreparedText | Pixels) -> PendingRow:
        work = PendingRow(key, self.batcher.hand_in(kind, owner, content))
        work.row.add_done_callback(partial(self._done, work))
        self._under_way[key] = work
        return work

    def _leave(self, work: PendingRow, place: object) -> None:
        work.tells.pop(place, None)
        if not work.tells and not work.row.done():
            self._land(work)  # at once: nobody may join what is being cancelled
            work.row.cancel()

    def _done(self, work: PendingRow, row: "asyncio.Future[EmbeddingResult]") -> None:
        self._land(work)
        if row.cancelled():
            return
        answer = self._answer(work.key, row)
        tells, work.tells = list(work.tells.values()), {}
        for tell in tells:
            tell(answer)

    def _answer(self, key: bytes, row: "asyncio.Future[EmbeddingResult]") -> EmbeddingResult | EncoderFailed:
        if error := row.exception():
            return error if isinstance(error, EncoderFailed) else EncoderFailed(str(error))
        self.cache.put(key, row.result().vector)
        return row.result()

    def _land(self, work: PendingRow) -> None:
        if self._under_way.get(work.key) is work:
            del self._under_way[work.key]


class WorkerSession:
    """Holds what one front has in flight. When the front is gone, nothing of it stays in the queue."""

    def __init__(self, line: FrameStream, decider: Dispatcher) -> None:
        self._line, self._decider = line, decider
        self._coming: dict[int, AbstractContextManager[None]] = {}
        self._asked: dict[int, CancelFunction] = {}

    def coming(self, body: bytearray) -> None:
        number, kind = COMING_STRUCT.unpack(body)
        ticket = self._coming[number] = self._decider.batcher.announced(ITEM_KINDS[kind])
        ticket.__enter__()

    def item(self, body: bytearray) -> None:
        item = unpack_item(body)
        number = item.number

        def tell(answer: EmbeddingResult | EncoderFailed) -> None:
            self._asked.pop(number, None)
            if isinstance(answer, EmbeddingResult):
                self._line.send(MessageType.ROW, *pack_row(number, answer))
            else:
                self._line.send(MessageType.FAILED, NUMBER_STRUCT.pack(number), str(answer).encode())

        if leave := self._decider.ask(item, (id(self), item.owner), tell):
            self._asked[number] = leave

    def gone(self, body: bytearray) -> None:
        """An item that was answered meanwhile is none of ours any more."""
        [number] = NUMBER_STRUCT.unpack(body)
        if ticket := self._coming.pop(number, None):
            ticket.__exit__(None, None, None)
        elif leave := self._asked.pop(number, None):
            leave()

    def close(self) -> None:
        for number in (*self._coming, *self._asked):
            self.gone(bytearray(NUMBER_STRUCT.pack(number)))
