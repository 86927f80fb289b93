"""How many images match a filter, and how many have each value of a property: Weaviate counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from weaviate.classes.aggregate import GroupByAggregate, Metrics
from weaviate.classes.config import DataType
from weaviate.classes.query import FilterReturn

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.where import FilterInput, build_filter
from clip_vectorizer.query.search.calls import SearchFlow, SearchTarget, WeaviateCall, check_property, combine_filters

MAX_YEARS = 30
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
    metrics = Metrics(name).date_(minimum=True, maximum=True)
    answer = yield WeaviateCall("over_all", {"return_metrics": metrics, **filter_argument(filters)}, part="aggregate")
    bounds = answer.properties.get(name)
    if bounds is None or not bounds.minimum or not bounds.maximum:
        return []
    first, last = (datetime.fromisoformat(each).year for each in (bounds.minimum, bounds.maximum))
    counts = []
    for year in range(last, max(first, last - MAX_YEARS + 1) - 1, -1):
        within = combine_filters([filters, build_filter(f"{name}={year:04}", target.properties)])
        counts.append(ValueCount(f"{year:04}", (yield from count_matches(target, within))))
    return [each for each in counts if each.count]


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
