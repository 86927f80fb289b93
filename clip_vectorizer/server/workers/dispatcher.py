"""The model's side of the workers: one cache and one queue for the items of all worker processes."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.captioning import CaptioningBackend
from clip_vectorizer.server.engine import Flight, SingleFlight, VectorCache
from clip_vectorizer.server.grounding import GroundingBackend, ScoringBackend
from clip_vectorizer.server.queues import ITEM_KINDS, EmbeddingResult
from clip_vectorizer.server.workers.ipc import (
    COMING_STRUCT,
    NUMBER_STRUCT,
    FrameStream,
    ItemMessage,
    MessageType,
    pack_row,
    unpack_item,
)

RowOrFailure = EmbeddingResult | EncoderFailed
RowCallback = Callable[[RowOrFailure], None]
CancelFunction = Callable[[], None]


class Dispatcher:
    """Equal keys get bit-equal rows, whichever worker sends them, as long as the cache holds them.

    There is no task per item: every item of every worker passes through here. Work is in progress as long as any
    worker waits for it.
    """

    def __init__(
        self,
        batcher: Batcher,
        cache: VectorCache,
        grounding: GroundingBackend | None = None,
        captioning: CaptioningBackend | None = None,
        scoring: ScoringBackend | None = None,
    ) -> None:
        self.batcher, self.cache = batcher, cache
        self.grounding, self.captioning, self.scoring = grounding, captioning, scoring
        self._flights: SingleFlight[EmbeddingResult] = SingleFlight()

    def encode(self, item: ItemMessage, owner: object, callback: RowCallback) -> CancelFunction | None:
        """Call `callback` once with the row or the error: now, and return None; or later, unless it is cancelled."""
        row = self.cache.get(item.key)
        if row is not None:
            callback(EmbeddingResult(row, cached=True))
            return None
        try:
            flight = self._flights.enter(item.key, lambda: self._start(item, owner))
        except EncoderFailed as error:
            callback(error)
            return None
        waiter = DispatchedItem(self._flights, flight, callback)
        flight.future.add_done_callback(waiter.deliver)
        return waiter.cancel

    def _start(self, item: ItemMessage, owner: object) -> "asyncio.Future[EmbeddingResult]":
        row = self.batcher.submit(item.kind, owner, item.content)
        row.add_done_callback(partial(self._store, item.key))  # the first callback: later items find it in the cache
        return row

    def _store(self, key: bytes, row: "asyncio.Future[EmbeddingResult]") -> None:
        if not row.cancelled() and row.exception() is None:
            self.cache.put(key, row.result().vector)


class DispatchedItem:
    """One caller that waits for a row. Leaves the shared work exactly once: with its row, or when it is cancelled."""

    def __init__(
        self, flights: SingleFlight[EmbeddingResult], flight: Flight[EmbeddingResult], callback: RowCallback
    ) -> None:
        self._flights, self._flight = flights, flight
        self._callback: RowCallback | None = callback

    def deliver(self, row: "asyncio.Future[EmbeddingResult]") -> None:
        callback = self._leave()
        if callback and not row.cancelled():
            callback(row_or_failure(row))

    def cancel(self) -> None:
        self._leave()

    def _leave(self) -> RowCallback | None:
        callback, self._callback = self._callback, None
        if callback:
            self._flights.leave(self._flight)
        return callback


def row_or_failure(row: "asyncio.Future[EmbeddingResult]") -> RowOrFailure:
    if error := row.exception():
        return error if isinstance(error, EncoderFailed) else EncoderFailed(str(error))
    return row.result()


class WorkerSession:
    """The items of one worker that are in progress. When the worker is gone, none of them stays in the queue."""

    def __init__(self, stream: FrameStream, dispatcher: Dispatcher) -> None:
        self._stream, self._dispatcher = stream, dispatcher
        self._coming: dict[int, AbstractContextManager[None]] = {}
        self._items: dict[int, CancelFunction] = {}

    def coming(self, body: bytearray) -> None:
        """An item is being prepared."""
        number, kind = COMING_STRUCT.unpack(body)
        ticket = self._coming[number] = self._dispatcher.batcher.announced(ITEM_KINDS[kind])
        ticket.__enter__()

    def item(self, body: bytearray) -> None:
        """An item to encode; its row or its error is sent back."""
        item = unpack_item(body)
        number = item.number

        def send(row: RowOrFailure) -> None:
            self._items.pop(number, None)
            if isinstance(row, EmbeddingResult):
                self._stream.send(MessageType.ROW, *pack_row(number, row))
            else:
                self._stream.send(MessageType.FAILED, NUMBER_STRUCT.pack(number), str(row).encode())

        if cancel := self._dispatcher.encode(item, (id(self), item.owner), send):
            self._items[number] = cancel

    def gone(self, body: bytearray) -> None:
        """The item does not come, or its row is no longer needed. No effect once its row was sent."""
        [number] = NUMBER_STRUCT.unpack(body)
        if ticket := self._coming.pop(number, None):
            ticket.__exit__(None, None, None)
        elif cancel := self._items.pop(number, None):
            cancel()

    def close(self) -> None:
        for number in (*self._coming, *self._items):
            self.gone(bytearray(NUMBER_STRUCT.pack(number)))
