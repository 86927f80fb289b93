"""A sample is the same each time, spread evenly, and within the filters; times are counted by year, month and day."""

import asyncio
from collections import Counter

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import AsyncImageSearch, ImageSearch
from tests.stack.acceptance.in_process import connection
from tests.stack.search.stored import StoredExamples
from tests.stack.search.test_counting import albums  # noqa: F401
from tests.stack.support import Stack

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("filters", [None, "label=fruit|birds"])
@pytest.mark.parametrize("page_size", [None, 7])
def test_a_sample_has_the_lowest_ids(
    found: ImageSearch, stored: StoredExamples, filters: str | None, page_size: int | None
) -> None:
    ids = sorted(image.id for image in stored.images if filters is None or image.label in ("fruit", "birds"))
    sample = list(found.sample(25, filters=filters, include_vector=True, page_size=page_size))
    assert [image.id for image in sample] == ids[:25]
    assert all(image.vector is not None and image.vector.shape == (256,) for image in sample)
    everything = [image.id for image in found.sample(10_000, filters=filters, page_size=page_size)]
    assert everything == ids


def test_a_sample_is_spread_over_the_labels(found: ImageSearch) -> None:
    labels = Counter(image.label for image in found.sample(160))
    assert len(labels) == 17 and max(labels.values()) <= 20, "half of the images, in 17 labels of some 19 images"


def test_a_sample_that_is_too_large_or_no_number_is_refused(found: ImageSearch) -> None:
    with pytest.raises(InputError, match="10,000 images at most"):
        list(found.sample(10_001))
    with pytest.raises(InputError, match="limit 0"):
        list(found.sample(0))
    with pytest.raises(InputError, match="did you mean label"):
        list(found.sample(5, filters="lable=fruit"))


def test_times_are_counted_by_year_month_and_day(albums: ImageSearch) -> None:  # noqa: F811
    def count(filters: str | None = None, within: str = "") -> dict[str, int]:
        return {each.value: each.count for each in albums.count_times("taken_at", filters, within)}

    assert count() == {"2021": 2, "2022": 0, "2023": 1}, "years without images are between them"
    months = count(within="2021")
    assert len(months) == 12 and {month: number for month, number in months.items() if number} == {
        "2021-05": 1,
        "2021-12": 1,
    }
    days = count(within="2021-12")
    assert len(days) == 31 and days["2021-12-31"] == 1 and sum(days.values()) == 1
    assert count("indoors=false") == {"2023": 1}
    assert count("path=d.png") == {}, "it has no time"
    assert all(albums.count(f"taken_at={period}") == number for period, number in {**months, **days}.items())


@pytest.mark.parametrize("within", ["21", "2021-13", "2021-12-31", "2021-1", "today", "0000-00"])
def test_another_period_is_refused(albums: ImageSearch, within: str) -> None:  # noqa: F811
    with pytest.raises(InputError, match="expected a year or a month"):
        albums.count_times("taken_at", within=within)


def test_only_times_have_a_time_line(albums: ImageSearch) -> None:  # noqa: F811
    with pytest.raises(InputError, match="holds no times"):
        albums.count_times("label")
    with pytest.raises(InputError, match="did you mean taken_at"):
        albums.count_times("taken_a")


def test_the_asynchronous_client_returns_the_same(stack: Stack, examples: str, found: ImageSearch) -> None:
    async def read() -> tuple[object, ...]:
        search = await AsyncImageSearch.connect(**connection(stack), collection=examples)
        try:
            return (
                [image.id async for image in search.sample(30, page_size=8)],
                [image.id async for image in search.sample(30, filters="label=fruit")],
                await search.count_times("taken_at"),
            )
        finally:
            await search.close()

    whole, fruit, times = asyncio.run(read())
    assert whole == [image.id for image in found.sample(30)]
    assert fruit == [image.id for image in found.sample(30, filters="label=fruit")]
    assert times == found.count_times("taken_at")
