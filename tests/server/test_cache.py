import asyncio
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.server.engine import ENTRY_BYTES, SingleFlight, VectorCache, content_key
from clip_vectorizer.vectors import Vectors

DIMENSION = 8
COST = DIMENSION * 4 + ENTRY_BYTES


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
