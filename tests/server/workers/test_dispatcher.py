"""Several fronts at one engine, joined by real sockets in one process: equal bits, one pass, nothing left behind."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.errors import DeviceLost, EncoderFailed
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.engine import VectorCache
from clip_vectorizer.server.queues import EmbeddingResult
from clip_vectorizer.server.workers.dispatcher import Dispatcher, WorkerSession
from clip_vectorizer.server.workers.ipc import FrameStream, MessageType
from clip_vectorizer.server.workers.worker import RemoteBackend
from clip_vectorizer.vectors import Vectors
from tests.fakes import HashEncoder, Scripted, free, vectors_of

KEY, OTHER = b"k" * 16, b"o" * 16
CACHE_BYTES = 1_000_000
TEXT = HashEncoder().prepare_text("a text")


def running(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 10))


def decider_of(encoder: HashEncoder, cache_bytes: int = CACHE_BYTES) -> Dispatcher:
    return Dispatcher(Batcher([encoder], 8), VectorCache(cache_bytes))


@asynccontextmanager
async def front_of(decider: Dispatcher) -> AsyncIterator[RemoteBackend]:
    """A front as its own process would be: it is gone at the end."""
    words = {
        MessageType.ROW: "row",
        MessageType.FAILED: "failed",
        MessageType.COMING: "coming",
        MessageType.ITEM: "item",
        MessageType.GONE: "gone",
    }
    near = FrameStream(lambda word, body: getattr(rows, words[MessageType(word)])(body), lambda: None)
    far = FrameStream(lambda word, body: getattr(desk, words[MessageType(word)])(body), lambda: desk.close())
    rows, desk = RemoteBackend(near), WorkerSession(far, decider)
    loop = asyncio.get_running_loop()
    for line, end in zip((near, far), socket.socketpair(), strict=True):
        await loop.create_unix_connection(lambda line=line: line, sock=end)
    try:
        yield rows
    finally:
        near.close()
        await asyncio.sleep(0.01)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_a_front_gets_the_rows_of_the_encoder() -> None:
    async def scenario() -> None:
        encoder = HashEncoder()
        async with front_of(decider_of(encoder)) as rows:
            pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
            text, image = await asyncio.gather(
                rows.encode("text", object(), TEXT, KEY), rows.encode("image", object(), pixels, OTHER)
            )
        assert text.vector.tobytes() == encoder.encode_texts([TEXT]).tobytes()
        assert image.vector.tobytes() == encoder.encode_images([pixels]).tobytes()

    running(scenario)


@pytest.mark.parametrize("cache_bytes", [0, CACHE_BYTES])
def test_equal_keys_of_two_fronts_at_once_share_one_pass(cache_bytes: int) -> None:
    encoder = Scripted()

    async def scenario() -> None:
        decider = decider_of(encoder, cache_bytes)
        async with front_of(decider) as one, front_of(decider) as two:
            tasks = [asyncio.create_task(rows.encode("text", object(), TEXT, KEY)) for rows in (one, two, one)]
            await until(lambda: encoder.batches)
            await asyncio.sleep(0.02)
            encoder.free.set()
            made = await asyncio.gather(*tasks)
        assert len({row.vector.tobytes() for row in made}) == 1

    running(scenario)
    assert encoder.batches == [("texts", 1)]


def test_the_row_of_one_front_reaches_another_from_the_cache_with_the_same_bits() -> None:
    passes: list[int] = []

    def shaken(_items: object, rows: Vectors) -> Vectors:
        passes.append(len(rows))
        return rows * np.float32(1 + 1e-6 * len(passes))

    async def scenario() -> None:
        decider = decider_of(free(shaken))
        async with front_of(decider) as one, front_of(decider) as two:
            first = await one.encode("text", object(), TEXT, KEY)
            second = await two.encode("text", object(), TEXT, KEY)
        assert first.vector.tobytes() == second.vector.tobytes()
        assert (first.cached, second.cached) == (False, True)

    running(scenario)
    assert passes == [1]


def test_a_cancelled_item_leaves_the_queue_unless_another_request_has_it() -> None:
    encoder = Scripted()

    async def scenario() -> None:
        decider = decider_of(encoder)
        async with front_of(decider) as one, front_of(decider) as two:
            first = asyncio.create_task(one.encode("text", object(), TEXT, b"first".ljust(16)))
            await until(lambda: encoder.batches)
            leaving = [asyncio.create_task(one.encode("text", object(), TEXT, key)) for key in (KEY, OTHER)]
            staying = asyncio.create_task(two.encode("text", object(), TEXT, KEY))
            await until(lambda: decider.batcher.depth("text") == 2)
            for each in leaving:
                each.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            await asyncio.sleep(0.02)
            encoder.free.set()
            await asyncio.gather(first, staying)

    running(scenario)
    assert encoder.batches == [("texts", 1), ("texts", 1)]


def test_a_front_that_is_gone_leaves_nothing_in_the_queue() -> None:
    encoder = Scripted()

    async def scenario() -> None:
        decider = decider_of(encoder)
        async with front_of(decider) as stays:
            async with front_of(decider) as goes:
                tasks = [asyncio.create_task(stays.encode("text", object(), TEXT, KEY))]
                await until(lambda: encoder.batches)
                announced = goes.announced("text")
                announced.__enter__()
                lost = asyncio.create_task(goes.encode("text", object(), TEXT, OTHER))
                await until(lambda: decider.batcher.depth("text") == 1)
            encoder.free.set()
            tasks.append(asyncio.create_task(stays.encode("text", object(), TEXT, b"later".ljust(16))))
            await asyncio.gather(*tasks)
            lost.cancel()

    running(scenario)
    assert encoder.batches == [("texts", 1), ("texts", 1)]


def test_an_item_that_is_announced_is_waited_for() -> None:
    encoder = free()

    async def scenario() -> None:
        async with front_of(decider_of(encoder)) as rows:

            async def later() -> EmbeddingResult:
                with rows.announced("text"):
                    await asyncio.sleep(0.05)
                return await rows.encode("text", object(), TEXT, OTHER)

            slow = asyncio.create_task(later())
            await asyncio.sleep(0.01)
            await asyncio.gather(slow, rows.encode("text", object(), TEXT, KEY))

    running(scenario)
    assert encoder.batches == [("texts", 2)]


def test_a_poisoned_item_fails_alone() -> None:
    poison = HashEncoder().prepare_text("poison")

    def spoil(items: Any, rows: Vectors) -> Vectors:
        if poison.ids in [item.ids for item in items]:
            raise ValueError("poisoned")
        return rows

    async def scenario() -> None:
        async with front_of(decider_of(free(spoil))) as rows:
            good, bad = await asyncio.gather(
                rows.encode("text", object(), TEXT, KEY),
                rows.encode("text", object(), poison, OTHER),
                return_exceptions=True,
            )
        assert isinstance(good, EmbeddingResult) and (good.vector == vectors_of([b"a text"])[0]).all()
        assert isinstance(bad, EncoderFailed) and "poisoned" in str(bad)

    running(scenario)


def test_a_dead_device_fails_all_waiting_and_later_items() -> None:
    def lose(_items: object, _rows: Vectors) -> Vectors:
        raise DeviceLost("gone")

    async def scenario() -> None:
        async with front_of(decider_of(free(lose))) as rows:
            for key in (KEY, OTHER):
                with pytest.raises(EncoderFailed, match="gone"):
                    await rows.encode("text", object(), TEXT, key)

    running(scenario)
