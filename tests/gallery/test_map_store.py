"""Layouts in memory: one computation at a time, used again until the count changes, bounded in number."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.gallery.map_store import KEPT, MOST_WAITING, MapLayout, MapLayouts


class Maker:
    """Makes layouts on command, and notes how many at a time."""

    def __init__(self) -> None:
        self.begun, self.running, self.most = 0, 0, 0
        self.go = asyncio.Event()

    def __call__(self, total: int, error: Exception | None = None) -> Callable[[], Coroutine[Any, Any, MapLayout]]:
        async def make() -> MapLayout:
            self.begun, self.running = self.begun + 1, self.running + 1
            self.most = max(self.most, self.running)
            await self.go.wait()
            self.running -= 1
            if error:
                raise error
            return MapLayout((), np.empty((0, 2)), total)

        return make


def test_a_page_comes_at_once_and_the_next_one_has_the_map() -> None:
    async def visit() -> None:
        layouts, maker = MapLayouts(), Maker()
        key = ((), "pca")
        assert await layouts.read(key, 5, maker(5), 0.01) == (None, True)
        assert await layouts.read(key, 5, maker(5), 0.01) == (None, True)
        maker.go.set()
        layout, computing = await layouts.read(key, 5, maker(5), 5)
        assert layout and layout.total == 5 and not computing
        assert (await layouts.read(key, 5, maker(5), 5))[0] is layout and maker.begun == 1

    asyncio.run(visit())


def test_another_count_shows_the_old_map_until_the_new_one_is_there() -> None:
    async def visit() -> None:
        layouts, maker = MapLayouts(), Maker()
        key = ((), "pca")
        maker.go.set()
        old, _ = await layouts.read(key, 5, maker(5), 5)
        maker.go.clear()
        assert await layouts.read(key, 6, maker(6), 5) == (old, True)
        maker.go.set()
        await asyncio.sleep(0.01)
        new, computing = await layouts.read(key, 6, maker(6), 5)
        assert new and new.total == 6 and not computing

    asyncio.run(visit())


def test_one_is_computed_at_a_time_and_few_wait() -> None:
    async def visit() -> None:
        layouts, maker = MapLayouts(), Maker()
        for number in range(2 * MOST_WAITING):
            assert await layouts.read(((f"label={number}",), "pca"), 5, maker(5), 0.001) == (None, True)
        maker.go.set()
        await asyncio.sleep(0.05)
        assert maker.most == 1 and maker.begun == MOST_WAITING
        assert (await layouts.read((("label=99",), "pca"), 5, maker(5), 5))[0] is not None, "there is room again"

    asyncio.run(visit())


def test_the_layouts_of_many_filters_do_not_pile_up() -> None:
    async def visit() -> None:
        layouts, maker = MapLayouts(), Maker()
        maker.go.set()
        for number in range(3 * KEPT):
            await layouts.read(((f"label={number}",), "pca"), 5, maker(5), 5)
        assert len(layouts._kept) == KEPT and not layouts._tasks

    asyncio.run(visit())


def test_a_failure_is_raised_once_and_the_next_page_begins_anew() -> None:
    async def visit() -> None:
        layouts, maker = MapLayouts(), Maker()
        maker.go.set()
        with pytest.raises(InputError, match="no such filter"):
            await layouts.read(((), "pca"), 5, maker(5, InputError("no such filter")), 5)
        assert (await layouts.read(((), "pca"), 5, maker(5), 5))[0] is not None

    asyncio.run(visit())
