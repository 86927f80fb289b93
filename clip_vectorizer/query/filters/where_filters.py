"""One condition as Weaviate's filter, by what the property holds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaviate.classes.query import Filter, FilterReturn

from clip_vectorizer.query.filters.where_values import (
    EARLIEST,
    EVERYWHERE,
    EXACT_INTEGERS,
    LEAST,
    Kind,
    circle,
    number,
    pattern,
    period,
    some_words,
    truth,
    whole_number,
)

By = Any  # what Filter.by_property gives: weaviate-client keeps its class to itself

HAS, HAS_NOT = "?", "!?"
METHODS = {"<": "less_than", "<=": "less_or_equal", ">": "greater_than", ">=": "greater_or_equal"}
READ: Mapping[Kind, Callable[[str], Any]] = {
    Kind.EXACT: str,
    Kind.WORDS: some_words,
    Kind.WHOLE: whole_number,
    Kind.NUMBER: number,
    Kind.BOOL: truth,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One expression, taken apart. Of `values` any will do."""

    name: str
    kind: Kind
    operator: str  # = != < <= > >= ~ HAS HAS_NOT
    values: tuple[str, ...] = ()


def condition_filter(wanted: Condition) -> FilterReturn:
    """Raises BadValue for values that are not of the property's type."""
    by = Filter.by_property(wanted.name)
    if wanted.operator == HAS:
        return has_value(by, wanted.kind)
    if wanted.operator == HAS_NOT:
        return Filter.not_(has_value(by, wanted.kind))
    if wanted.kind is Kind.DATE:
        return dated(by, wanted)
    if wanted.kind is Kind.PLACE:
        return placed(by, wanted)
    return compared(by, wanted)


def has_value(by: By, kind: Kind) -> FilterReturn:
    """By comparing with the least that there is, for missing values are not indexed."""
    found: FilterReturn
    match kind:
        case Kind.EXACT | Kind.WORDS:
            found = by.like("?*")  # one letter at least: an image without a label has an empty one
        case Kind.WHOLE | Kind.NUMBER:
            found = by.greater_or_equal(-EXACT_INTEGERS if kind is Kind.WHOLE else LEAST)
        case Kind.DATE:
            found = by.greater_or_equal(EARLIEST)
        case Kind.BOOL:
            found = by.contains_any([True, False])
        case Kind.PLACE:
            found = by.within_geo_range(*EVERYWHERE)
    return found


def compared(by: By, wanted: Condition) -> FilterReturn:
    """Texts, numbers, true and false. What has no value at all is != to everything."""
    if wanted.operator == "~":
        read = pattern if wanted.kind is Kind.WORDS else str
        return any_of([by.like(read(value)) for value in wanted.values])
    values = [READ[wanted.kind](value) for value in wanted.values]
    found: FilterReturn
    match wanted.operator:
        case "=":
            found = by.contains_any(values) if len(values) > 1 else by.equal(values[0])
        case "!=":
            found = by.contains_none(values) if len(values) > 1 else by.not_equal(values[0])
        case operator:
            found = getattr(by, METHODS[operator])(values[0])
    return found


def dated(by: By, wanted: Condition) -> FilterReturn:
    """A year, a month and a day last: `taken_at<=2024` takes in its last day, `taken_at>2024` begins after it."""
    if wanted.operator == "!=":
        return Filter.not_(dated(by, Condition(wanted.name, wanted.kind, "=", wanted.values)))
    return any_of([during(by, wanted.operator, value) for value in wanted.values])


def during(by: By, operator: str, value: str) -> FilterReturn:
    start, end = period(value)
    lasts = end > start
    found: FilterReturn
    match operator:
        case "=":
            within = [by.greater_or_equal(start), by.less_than(end)]
            found = Filter.all_of(within) if lasts else by.equal(start)
        case "<=":
            found = by.less_than(end) if lasts else by.less_or_equal(start)
        case ">":
            found = by.greater_or_equal(end) if lasts else by.greater_than(start)
        case _:
            found = getattr(by, METHODS[operator])(start)
    return found


def placed(by: By, wanted: Condition) -> FilterReturn:
    """Inside of a circle, or outside of it and somewhere."""
    inside: FilterReturn = by.within_geo_range(*circle(wanted.values[0]))
    if wanted.operator.startswith("<"):
        return inside
    return Filter.all_of([has_value(by, Kind.PLACE), Filter.not_(inside)])


def any_of(filters: Sequence[FilterReturn]) -> FilterReturn:
    return Filter.any_of(list(filters)) if len(filters) > 1 else filters[0]
