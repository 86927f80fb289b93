"""The same input gets the same bits, though the model's answers depend on the batch; equal work is done once."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.server.batcher import Batcher
from clip_vectorizer.server.engine import (
    ENTRY_BYTES,
    MAX_LIGHT_PIXELS,
    EmbeddedItem,
    Engine,
    SingleFlight,
    VectorCache,
    content_key,
)
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.vectors import Pixels, Vectors
from tests.fakes import HashEncoder
from tests.server.clients import RED, file_of

DIMENSION = 8
COST = DIMENSION * 4 + ENTRY_BYTES


class Restless(HashEncoder):
    """As real models: the last bits of a row depend on the batch it is in. Counts its passes."""

    def __init__(self) -> None:
        self.items = 0

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        return self._shaken(super().encode_texts(texts))

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        return self._shaken(super().encode_images(images))

    def _shaken(self, rows: Vectors) -> Vectors:
        self.items += len(rows)
        return rows * np.float32(1 + 1e-6 * random.random())


def engine_of(encoder: HashEncoder, **limits: int) -> Engine:
    bounds = Limits(**limits)
    return Engine([encoder], Batcher([encoder], bounds.max_batch), bounds, decode_threads=2)


def picture(shade: int) -> bytes:
    return file_of(Image.new("L", (5, 5), shade))


@settings(max_examples=60, deadline=None)
@given(requests=st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), max_size=8), max_batch=st.integers(1, 4))
def test_equal_inputs_get_bit_equal_rows_in_any_mix_of_requests(requests: list[list[int]], max_batch: int) -> None:
    encoder = Restless()

    async def scenario() -> list[list[EmbeddedItem]]:
        engine = engine_of(encoder, max_batch=max_batch)

        async def request(shades: list[int], delay: int) -> list[EmbeddedItem]:
            for _ in range(delay):
                await asyncio.sleep(0)
            owner = object()
            texts = [engine.text(owner, engine.prepare_text(f"shade {shade}")) for shade in shades]
            images = [engine.image(owner, picture(shade)) for shade in shades]
            return list(await asyncio.gather(*texts, *images))

        return list(await asyncio.gather(*(request(shades, n * 3) for n, shades in enumerate(requests))))

    seen: dict[tuple[bool, int], bytes] = {}
    for shades, made in zip(requests, asyncio.run(scenario()), strict=True):
        for place, each in enumerate(made):
            key = (place < len(shades), shades[place % len(shades)])
            assert seen.setdefault(key, each.row.vector.tobytes()) == each.row.vector.tobytes()
    assert encoder.items == len(seen)


def test_without_a_cache_equal_work_at_once_is_still_done_once() -> None:
    encoder = Restless()

    async def scenario() -> list[EmbeddedItem]:
        engine = engine_of(encoder, cache_bytes=0)
        together = await asyncio.gather(*(engine.image(object(), RED) for _ in range(5)))
        return [*together, await engine.image(object(), RED)]

    made = asyncio.run(scenario())
    assert len({each.row.vector.tobytes() for each in made[:5]}) == 1
    assert encoder.items == 2


def test_a_row_from_the_cache_is_marked_and_took_no_pass() -> None:
    async def scenario() -> tuple[EmbeddedItem, EmbeddedItem]:
        engine = engine_of(HashEncoder())
        return await engine.image(object(), RED), await engine.image(object(), RED)

    first, second = asyncio.run(scenario())
    assert (first.cached, second.cached) == (False, True)
    assert second.row.encode_seconds == 0


def test_a_large_picture_goes_another_way_and_small_ones_do_not_wait_for_it() -> None:
    side = int(MAX_LIGHT_PIXELS**0.5) + 10
    large = file_of(Image.new("L", (side, side), 7))
    finished: list[str] = []

    async def scenario() -> None:
        engine = engine_of(HashEncoder())

        async def note(name: str, data: bytes) -> None:
            await engine.image(object(), data)
            finished.append(name)

        larges = [note("large", large + b" " * n) for n in range(4)]  # different files, equal pictures
        await asyncio.gather(*larges, note("small", RED))

    asyncio.run(scenario())
    assert finished.index("small") < 2, finished


def test_a_file_that_cannot_be_read_is_refused_and_not_kept() -> None:
    async def scenario() -> EmbeddedItem:
        engine = engine_of(HashEncoder())
        for _ in range(2):
            with pytest.raises(ImageRefused):
                await engine.image(object(), b"no image")
        return await engine.image(object(), RED)

    assert asyncio.run(scenario()).row.vector.shape == (8,)


def test_a_batch_does_not_wait_for_pictures_that_take_long_to_decode() -> None:
    large = file_of(Image.new("L", (3000, 2000), 7))

    async def scenario() -> EmbeddedItem:
        engine = engine_of(HashEncoder())
        larges = [asyncio.create_task(engine.image(object(), large + b" " * n)) for n in range(8)]
        small = await engine.image(object(), RED)
        assert not all(task.done() for task in larges)
        await asyncio.gather(*larges)
        return small

    assert asyncio.run(scenario()).row.vector.shape == (8,)


def row(value: float) -> Vectors:
    return np.full(DIMENSION, value, dtype=np.float32)


@given(
    room=st.integers(0, 5),
    steps=st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=40),
)
def test_it_holds_the_most_recently_used_rows_within_its_bytes(room: int, steps: list[tuple[bool, int]]) -> None:
    cache, model = VectorCache(room * COST), OrderedDict[int, float]()
    for turn, (puts, key) in enumerate(steps):
        if puts:
            cache.put(b"%d" % key, row(turn))
            model[key] = turn
            model.move_to_end(key)
            while len(model) > room:
                model.popitem(last=False)
        else:
            found = cache.get(b"%d" % key)
            assert (None if found is None else found[0]) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert len(cache) == len(model)
        assert cache.size_bytes == len(model) * COST <= room * COST


def test_a_row_keeps_neither_its_batch_alive_nor_lets_itself_be_changed() -> None:
    batch, cache = np.ones((100, DIMENSION), dtype=np.float32), VectorCache(10 * COST)
    cache.put(b"k", batch[3])
    batch[3] = 7
    kept = cache.get(b"k")
    assert kept is not None and kept.base is None and (kept == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 2


def test_a_text_and_an_image_of_equal_bytes_have_different_keys() -> None:
    assert content_key(b"text", b"same") != content_key(b"image", b"same")
    assert content_key(b"text", b"same") == content_key(b"text", b"same")


# --- single flight


class Work:
    """Counts its starts and cancellations; ends when `go_on` is set."""

    def __init__(self) -> None:
        self.begun = self.cancelled = 0
        self.go_on = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return f"result {self.begun}"


async def joined(flights: SingleFlight[str], work: Work, count: int, key: bytes = b"k") -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(flights.join(key, lambda: asyncio.create_task(work()))) for _ in range(count)]
    await asyncio.sleep(0.01)
    return tasks


def test_equal_work_runs_once_and_runs_again_after_its_end() -> None:
    async def scenario() -> None:
        flights, work = SingleFlight[str](), Work()
        tasks = await joined(flights, work, 3)
        work.go_on.set()
        assert await asyncio.gather(*tasks) == ["result 1"] * 3
        assert await flights.join(b"k", lambda: asyncio.create_task(work())) == "result 2"

    asyncio.run(scenario())


def test_work_continues_until_the_last_waiting_task_is_cancelled() -> None:
    async def scenario() -> None:
        flights, work = SingleFlight[str](), Work()
        first, second = await joined(flights, work, 2)
        first.cancel()
        await asyncio.sleep(0.01)
        assert (work.begun, work.cancelled) == (1, 0)
        second.cancel()
        await asyncio.sleep(0.01)
        assert work.cancelled == 1

    asyncio.run(scenario())


def test_cancelled_work_is_not_joined() -> None:
    async def scenario() -> str:
        flights, work = SingleFlight[str](), Work()
        (first,) = await joined(flights, work, 1)
        first.cancel()
        second = asyncio.create_task(flights.join(b"k", lambda: asyncio.create_task(work())))
        await asyncio.sleep(0.01)
        work.go_on.set()
        return await asyncio.wait_for(second, 5)

    assert asyncio.run(scenario()).startswith("result")


def test_a_failure_is_raised_in_every_waiting_task() -> None:
    async def fail() -> str:
        await asyncio.sleep(0.01)
        raise ValueError("broken")

    async def scenario() -> list[str | BaseException]:
        flights = SingleFlight[str]()
        joined = (flights.join(b"k", lambda: asyncio.create_task(fail())) for _ in range(3))
        return await asyncio.gather(*joined, return_exceptions=True)

    assert [str(error) for error in asyncio.run(scenario())] == ["broken"] * 3


@pytest.mark.parametrize("keys", [(b"a", b"b")])
def test_different_keys_are_different_work(keys: tuple[bytes, bytes]) -> None:
    async def scenario() -> int:
        flights, work = SingleFlight[str](), Work()
        tasks = [task for key in keys for task in await joined(flights, work, 1, key)]
        work.go_on.set()
        await asyncio.gather(*tasks)
        return work.begun

    assert asyncio.run(scenario()) == 2
