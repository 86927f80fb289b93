"""Micro-batches across requests: whatever waits when the device frees up goes through together.

No timer: a lone request never waits for company, and under load a batch grows while the one before it runs.
Texts and images wait in separate lanes that take turns, so a text waits for one batch of images at most.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from clip_vectorizer.errors import EncoderFailed
from clip_vectorizer.models.encoder import Encoder, PreparedText
from clip_vectorizer.vectors import Pixels, Vectors

Answer = Vectors | EncoderFailed  # one unit row (D,), or why there is none
Encode = Callable[[Any], Vectors]  # a lane's items in, (N, D) out


@dataclass(frozen=True, slots=True)
class Waiting:
    item: Any
    answer: "asyncio.Future[Answer]"


@dataclass(slots=True)
class Lane:
    encode: Encode
    waiting: deque[Waiting]

    def take(self, limit: int) -> list[Waiting]:
        """The oldest items whose callers are still there, at most `limit`."""
        batch: list[Waiting] = []
        while self.waiting and len(batch) < limit:
            oldest = self.waiting.popleft()
            if not oldest.answer.done():  # done: the client went away, or its deadline passed
                batch.append(oldest)
        return batch


class Batcher:
    """One device, one thread. Every caller gets exactly one answer for each item, in its own order."""

    def __init__(self, encoder: Encoder, max_batch: int) -> None:
        self._max_batch = max_batch
        self._texts = Lane(encoder.encode_texts, deque())
        self._images = Lane(encoder.encode_images, deque())
        self._turns = deque([self._texts, self._images])
        self._device = ThreadPoolExecutor(1, "device")
        self._worker: asyncio.Task[None] | None = None

    async def texts(self, items: Sequence[PreparedText]) -> list[Answer]:
        return await self._answers(self._texts, items)

    async def images(self, items: Sequence[Pixels]) -> list[Answer]:
        return await self._answers(self._images, items)

    async def _answers(self, lane: Lane, items: Sequence[Any]) -> list[Answer]:
        waiting = [Waiting(item, asyncio.get_running_loop().create_future()) for item in items]
        lane.waiting.extend(waiting)
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await asyncio.gather(*(each.answer for each in waiting))  # cancelled with its caller

    async def _work(self) -> None:
        """Runs while anything waits."""
        while self._texts.waiting or self._images.waiting:
            lane = self._turns[0]
            self._turns.rotate()
            if batch := lane.take(self._max_batch):
                await self._answer(lane, batch)

    async def _answer(self, lane: Lane, batch: list[Waiting]) -> None:
        items = [each.item for each in batch]
        answers = await asyncio.get_running_loop().run_in_executor(self._device, answers_of, lane.encode, items)
        for each, answer in zip(batch, answers, strict=True):
            if not each.answer.done():
                each.answer.set_result(answer)


def answers_of(encode: Encode, items: list[Any]) -> list[Answer]:
    """One answer an item, whatever `encode` does: a batch that fails is tried again item by item."""
    try:
        return checked(encode(items), len(items))
    except Exception as error:  # the model may raise anything; the one thread that serves all must live on
        if len(items) == 1:
            return [EncoderFailed(f"the model failed: {error or type(error).__name__}")]
        return [answer for item in items for answer in answers_of(encode, [item])]


def checked(rows_nd: Vectors, count: int) -> list[Answer]:
    """The rows, an error in place of each that is not finite. Raises EncoderFailed unless there are `count`."""
    if rows_nd.shape[:1] != (count,):
        raise EncoderFailed(f"{len(rows_nd)} vectors for {count} items")
    return [row if np.isfinite(row).all() else EncoderFailed("the model gave NaN or infinity") for row in rows_nd]
