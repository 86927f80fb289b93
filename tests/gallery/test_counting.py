"""Filters that take long to count: a page does not wait for them, and none is counted twice at once."""

import asyncio
from typing import Any, cast

import pytest
from weaviate.classes.config import DataType

from clip_vectorizer.errors import InputError
from clip_vectorizer.gallery import facets
from clip_vectorizer.gallery.address import Address
from clip_vectorizer.gallery.facets import FacetCounts, read_facets
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.search.counting import ValueCount


class SlowCounter:
    """Counts on command."""

    partition = ("Image", None)

    def __init__(self, seconds: float = 0.0) -> None:
        self.properties = {"label": DataType.TEXT, "camera": DataType.TEXT}
        self.seconds, self.calls = seconds, cast(list[tuple[str, tuple[str, ...]]], [])

    async def count_values(self, name: str, filters: list[str], limit: int) -> list[ValueCount]:
        self.calls.append((name, tuple(filters)))
        await asyncio.sleep(self.seconds)
        if filters == ["label=broken"]:
            raise InputError("no such filter")
        return [ValueCount("fruit", 3), ValueCount("tools", 1)]


async def read(counter: SlowCounter, counts: FacetCounts, query: str = "", patience: float | None = None) -> Any:
    found = await read_facets(Address.parse(query), cast(AsyncImageSearch, counter), counts, patience)
    return found if found is None else {each.name: [value.count for value in each.values] for each in found}


BOTH = {"label": [3, 1], "camera": [3, 1]}


def test_a_page_does_not_wait_for_filters_that_take_long_and_the_next_one_has_them() -> None:
    async def visit() -> None:
        counter, counts = SlowCounter(0.3), FacetCounts()
        assert await read(counter, counts, patience=0.01) is None
        assert await read(counter, counts) == BOTH
        assert len(counter.calls) == 2, "the counting of the first page went on"
        assert await read(counter, counts, patience=0.01) == BOTH
        assert len(counter.calls) == 2, "it took long, so it is used again"

    asyncio.run(visit())


def test_pages_at_the_same_time_count_once() -> None:
    async def visit() -> None:
        counter, counts = SlowCounter(0.01), FacetCounts()
        assert await asyncio.gather(*(read(counter, counts) for _ in range(5))) == [BOTH] * 5
        assert len(counter.calls) == 2

    asyncio.run(visit())


def test_counts_that_take_little_are_always_up_to_date() -> None:
    async def visit() -> None:
        counter, counts = SlowCounter(), FacetCounts()
        for _ in range(3):
            assert await read(counter, counts) == BOTH
        assert len(counter.calls) == 6

    asyncio.run(visit())


def test_a_bad_filter_is_an_error_each_time_and_a_good_one_works_after_it() -> None:
    async def visit() -> None:
        counter, counts = SlowCounter(), FacetCounts()
        for _ in range(2):
            with pytest.raises(InputError, match="no such filter"):
                await read(counter, counts, "where=label%3Dbroken")
        assert await read(counter, counts) == BOTH

    asyncio.run(visit())


def test_the_counts_of_many_filters_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "KEPT_COUNTS", 4)

    async def visit() -> None:
        counter, counts = SlowCounter(), FacetCounts()
        for number in range(10):
            await read(counter, counts, f"where=path%3D{number}")
        assert len(counts._tasks) == 4 and len(counts._fresh_until) <= 4

    asyncio.run(visit())
