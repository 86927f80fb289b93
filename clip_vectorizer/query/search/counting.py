"""How many images match a filter, and how many have each value of a property: Weaviate counts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from weaviate.classes.aggregate import GroupByAggregate, Metrics
from weaviate.classes.config import DataType
from weaviate.classes.query import FilterReturn

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import FilterInput, build_filter
from clip_vectorizer.query.search.calls import SearchFlow, SearchTarget, WeaviateCall, check_property, combine_filters

MAX_YEARS = 30
MAX_PERIODS = 60  # of a time line: each takes a call
COUNTED = (DataType.TEXT, DataType.TEXT_ARRAY, DataType.BOOL, DataType.INT)


@dataclass(frozen=True, slots=True)
class ValueCount:
    """A value of a property, and how many images have it."""

    value: str
    count: int


def count_images(target: SearchTarget, filters: FilterInput) -> SearchFlow[int]:
    """Return how many images match. Raises InputError for a bad filter."""
    return (yield from count_matches(target, build_filter(filters, target.properties)))


def count_values(target: SearchTarget, name: str, filters: FilterInput, limit: int) -> SearchFlow[list[ValueCount]]:
    """Return the most frequent values of a property among the images that match, at most `limit`; of times, the years.

    Images without a value are not counted. Raises InputError for a bad filter, and for a property without such values.
    """
    check_property(name, target)
    built = build_filter(filters, target.properties)
    if target.properties[name] is DataType.DATE:
        return (yield from count_years(target, name, built))
    if target.properties[name] not in COUNTED:
        raise InputError(f"the values of {name} are not counted: too few of them are equal; choose a text or a number")
    arguments = {"group_by": GroupByAggregate(prop=name, limit=limit), **filter_argument(built)}
    answer = yield WeaviateCall("over_all", arguments, part="aggregate")
    found = [ValueCount(format_counted(group.grouped_by.value), group.total_count or 0) for group in answer.groups]
    return sorted((each for each in found if each.value), key=lambda each: (-each.count, each.value))


def count_years(target: SearchTarget, name: str, filters: FilterReturn | None) -> SearchFlow[list[ValueCount]]:
    """Return the last MAX_YEARS years that have images, latest first."""
    bounds = yield from fetch_bounds(target, name, filters)
    if bounds is None:
        return []
    first, last = (each.year for each in bounds)
    counts = []
    for year in range(last, max(first, last - MAX_YEARS + 1) - 1, -1):
        within = combine_filters([filters, build_filter(f"{name}={year:04}", target.properties)])
        counts.append(ValueCount(f"{year:04}", (yield from count_matches(target, within))))
    return [each for each in counts if each.count]


def fetch_bounds(
    target: SearchTarget, name: str, filters: FilterReturn | None
) -> SearchFlow[tuple[datetime, datetime] | None]:
    """Return the first and the last time of a property, UTC; None without any."""
    metrics = Metrics(name).date_(minimum=True, maximum=True)
    answer = yield WeaviateCall("over_all", {"return_metrics": metrics, **filter_argument(filters)}, part="aggregate")
    bounds = answer.properties.get(name)
    if bounds is None or not bounds.minimum or not bounds.maximum:
        return None
    return read_time(bounds.minimum), read_time(bounds.maximum)


def read_time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def list_periods(target: SearchTarget, name: str, filters: FilterInput, within: str) -> SearchFlow[list[str]]:
    """Return the parts of a year or a month as a filter writes them, or without it the years that have images.

    Raises InputError for a property without times, a bad filter, and for another `within`.
    """
    check_property(name, target)
    built = build_filter(filters, target.properties)
    if target.properties[name] is not DataType.DATE:
        raise InputError(f"{name} holds no times; choose a property of the type date")
    if within:
        return list_parts(within)
    bounds = yield from fetch_bounds(target, name, built)
    if bounds is None:
        return []
    first, last = (each.year for each in bounds)
    return [f"{year:04}" for year in range(max(first, last - MAX_PERIODS + 1), last + 1)]


def list_parts(period: str) -> list[str]:
    """Return the months of a year, the days of a month.

    >>> list_parts("2024")[:2], len(list_parts("2024-02"))
    (['2024-01', '2024-02'], 29)
    """
    if re.fullmatch(r"\d{4}", period):
        return [f"{period}-{month:02}" for month in range(1, 13)]
    try:
        if not re.fullmatch(r"\d{4}-\d{2}", period):
            raise ValueError
        first = datetime.fromisoformat(f"{period}-01")
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    except (ValueError, OverflowError):
        raise InputError(f"within {period!r}: expected a year or a month, 2024 or 2024-06") from None
    return [f"{period}-{day:02}" for day in range(1, last.day + 1)]


def count_period(target: SearchTarget, name: str, filters: FilterInput, period: str) -> SearchFlow[ValueCount]:
    """Return how many images have a time in one year, month or day."""
    within = [build_filter(filters, target.properties), build_filter(f"{name}={period}", target.properties)]
    return ValueCount(period, (yield from count_matches(target, combine_filters(within))))


def count_matches(target: SearchTarget, filters: FilterReturn | None) -> SearchFlow[int]:
    answer = yield WeaviateCall("over_all", {"total_count": True, **filter_argument(filters)}, part="aggregate")
    return int(answer.total_count or 0)


def filter_argument(filters: FilterReturn | None) -> dict[str, Any]:
    return {} if filters is None else {"filters": filters}


def format_counted(value: Any) -> str:
    """As a filter writes it: true, not True; 2, not 2.0, as Weaviate returns whole numbers.

    >>> format_counted(True), format_counted(2.0)
    ('true', '2')
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(format_counted, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
