"""Filter expressions, as users type them, parsed and converted to Weaviate's filters.

label=fruit   label=fruit|vegetables   label!=fruit   path~2024/*.jpg   caption=red apple   size>=100000
taken_at=2024-06   sold=true   camera?   !camera?   location<10km@52.5,13.4
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn

from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import suggest
from clip_vectorizer.query.filters.where_values import (
    EARLIEST,
    EVERYWHERE,
    EXACT_INTEGERS,
    MIN_DOUBLE,
    InvalidFilterValue,
    PropertyKind,
    check_pattern,
    check_words,
    find_kind,
    parse_bool,
    parse_circle,
    parse_integer,
    parse_number,
    parse_period,
)
from clip_vectorizer.query.prompts import normalize_text

COMPARISON = re.compile(r"\s*(\w+)\s*(!=|<=|>=|==|=|<|>|~)(.*)", re.DOTALL)
PRESENCE = re.compile(r"\s*(!?)\s*(\w+)\s*\?\s*")
# Each value between |; a | inside quotes belongs to the value, and so does \\|.
VALUE_LIST = re.compile(r"""(?:^|\|)(\s*"[^"]*"\s*(?=\||$)|\s*'[^']*'\s*(?=\||$)|(?:\\\||[^|])*)""")
QUOTED_VALUE = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
EXAMPLES = "for example label=fruit, size>=1000 or taken_at>=2024-01-01"
EQUAL, ORDER, LIKE = ("=", "!="), ("<", "<=", ">", ">="), ("~",)
OPERATORS = {
    PropertyKind.EXACT: EQUAL + ORDER + LIKE,
    PropertyKind.WORDS: EQUAL + LIKE,
    PropertyKind.INTEGER: EQUAL + ORDER,
    PropertyKind.NUMBER: EQUAL + ORDER,
    PropertyKind.DATE: EQUAL + ORDER,
    PropertyKind.BOOL: EQUAL,
    PropertyKind.PLACE: ORDER,
}
HAS, HAS_NOT = "?", "!?"
COMPARISON_METHODS = {"<": "less_than", "<=": "less_or_equal", ">": "greater_than", ">=": "greater_or_equal"}
VALUE_PARSERS: Mapping[PropertyKind, Callable[[str], Any]] = {
    PropertyKind.EXACT: str,
    PropertyKind.WORDS: check_words,
    PropertyKind.INTEGER: parse_integer,
    PropertyKind.NUMBER: parse_number,
    PropertyKind.BOOL: parse_bool,
}

PropertyFilter = Any  # returned by Filter.by_property; weaviate-client does not export its class
FilterInput = str | Sequence[str] | FilterReturn | None


def build_filter(filters: FilterInput, properties: Mapping[str, DataType]) -> FilterReturn | None:
    """Return a filter that matches all expressions; a filter of weaviate-client is returned unchanged.

    `properties`: of the collection. An expression is a property, one of = != < <= > >= ~, and a value; after = != ~
    also several values with | between them, any of which matches. ~ takes a pattern: * is any text, ? one character.
    `label?` matches images with a value, `!label?` those without one. Texts of many words, like a caption, are compared
    by their words: = matches all of them in any order. Times without a zone are UTC. Raises InputError that names the
    expression.

    >>> build_filter("size>=1000", {"size": DataType.INT}).value
    1000
    """
    if filters is None or isinstance(filters, FilterReturn):
        return filters
    built = [build_expression_filter(expression, properties) for expression in list_expressions(filters)]
    return Filter.all_of(built) if len(built) > 1 else built[0] if built else None


def list_expressions(filters: str | Sequence[str]) -> Sequence[str]:
    is_list = isinstance(filters, Sequence) and not isinstance(filters, str | bytes)
    return filters if is_list else [filters]  # type: ignore[list-item]  # build_expression_filter checks each


def parse_property(expression: str) -> str:
    """Return the property that an expression is about. Raises InputError that names the expression.

    >>> parse_property("area<0.05"), parse_property("!camera?")
    ('area', 'camera')
    """
    if not isinstance(expression, str):
        raise InputError(f"the filter {expression!r}: expected a text, {EXAMPLES}")
    if presence := PRESENCE.fullmatch(expression):
        return presence[2]
    if parts := COMPARISON.fullmatch(expression):
        return parts[1]
    raise InputError(f"the filter {expression!r}: expected a property, a comparison and a value, {EXAMPLES}")


def build_expression_filter(expression: str, properties: Mapping[str, DataType]) -> FilterReturn:
    """Return the filter of one expression. Raises InputError that names it."""
    if not isinstance(expression, str):
        raise InputError(f"the filter {expression!r}: expected a text, {EXAMPLES}")
    try:
        normalize_text(expression)  # raises for text that is not UTF-8 and cannot be sent
        return build_condition_filter(parse_condition(expression, properties))
    except InvalidFilterValue as error:
        raise InputError(f"the filter {expression!r}: {error}", error.suggestion) from None


@dataclass(frozen=True, slots=True)
class FilterCondition:
    """A parsed expression. Any of `values` matches."""

    name: str
    kind: PropertyKind
    operator: str  # = != < <= > >= ~ HAS HAS_NOT
    values: tuple[str, ...] = ()


def parse_condition(expression: str, properties: Mapping[str, DataType]) -> FilterCondition:
    """Parse one expression. Raises InvalidFilterValue for bad syntax and for an operator that does not fit."""
    if presence := PRESENCE.fullmatch(expression):
        without, name = presence.groups()
        return FilterCondition(name, check_filterable(name, properties), HAS_NOT if without else HAS)
    parts = COMPARISON.fullmatch(expression)
    if parts is None:
        raise InvalidFilterValue(f"expected a property, a comparison and a value, {EXAMPLES}")
    name, operator, text = parts[1], parts[2].replace("==", "="), parts[3]
    kind = check_filterable(name, properties)
    if operator not in OPERATORS[kind]:
        raise InvalidFilterValue(f"{name} holds {kind.value}; use {' '.join(OPERATORS[kind])}")
    return FilterCondition(name, kind, operator, parse_values(text, name, operator))


def check_filterable(name: str, properties: Mapping[str, DataType]) -> PropertyKind:
    """Return the kind of the property. Raises InvalidFilterValue if it is missing or has no index."""
    kinds = {each: find_kind(each, data_type) for each, data_type in sorted(properties.items())}
    usable = [each for each, kind in kinds.items() if kind]
    if name not in kinds:
        near = suggest(name, usable)
        raise InvalidFilterValue(f"no property is called {name}; {near or ''}there are {', '.join(usable)}", near)
    kind = kinds[name]
    if kind is None:
        raise InvalidFilterValue(f"{name} has no index to filter by; these have: {', '.join(usable)}")
    return kind


def parse_values(text: str, name: str, operator: str) -> tuple[str, ...]:
    parts = [part.strip() for part in VALUE_LIST.findall(text)]
    if "" in parts:
        raise InvalidFilterValue(f'a value is missing; {name}="" finds empty texts, !{name}? images without a value')
    if len(parts) > 1 and operator in ORDER:
        raise InvalidFilterValue(f"{operator} takes one value; several, separated by |, work with = != ~")
    return tuple(unquote(part) for part in parts)


def unquote(part: str) -> str:
    """Remove quotes around a value; \\| and a | inside quotes are the character itself."""
    quoted = QUOTED_VALUE.fullmatch(part)
    return (quoted[2] if quoted else part).replace(r"\|", "|")


def build_condition_filter(condition: FilterCondition) -> FilterReturn:
    """Return the filter of one condition. Raises InvalidFilterValue for values of another type than the property."""
    by = Filter.by_property(condition.name)
    if condition.operator == HAS:
        return build_presence_filter(by, condition.kind)
    if condition.operator == HAS_NOT:
        return Filter.not_(build_presence_filter(by, condition.kind))
    if condition.kind is PropertyKind.DATE:
        return build_date_filter(by, condition)
    if condition.kind is PropertyKind.PLACE:
        return build_place_filter(by, condition)
    return build_comparison_filter(by, condition)


def build_presence_filter(by: PropertyFilter, kind: PropertyKind) -> FilterReturn:
    """Compare with the lowest possible value, because missing values are not indexed."""
    built: FilterReturn
    match kind:
        case PropertyKind.EXACT | PropertyKind.WORDS:
            built = by.like("?*")  # at least one character: an image without a label has an empty one
        case PropertyKind.INTEGER | PropertyKind.NUMBER:
            built = by.greater_or_equal(-EXACT_INTEGERS if kind is PropertyKind.INTEGER else MIN_DOUBLE)
        case PropertyKind.DATE:
            built = by.greater_or_equal(EARLIEST)
        case PropertyKind.BOOL:
            built = by.contains_any([True, False])
        case PropertyKind.PLACE:
            built = by.within_geo_range(*EVERYWHERE)
    return built


def build_comparison_filter(by: PropertyFilter, condition: FilterCondition) -> FilterReturn:
    """Compare texts, numbers and booleans. An image without a value matches every !=."""
    if condition.operator == "~":
        read = check_pattern if condition.kind is PropertyKind.WORDS else str
        return match_any([by.like(read(value)) for value in condition.values])
    values = [VALUE_PARSERS[condition.kind](value) for value in condition.values]
    built: FilterReturn
    match condition.operator:
        case "=":
            built = by.contains_any(values) if len(values) > 1 else by.equal(values[0])
        case "!=":
            built = by.contains_none(values) if len(values) > 1 else by.not_equal(values[0])
        case operator:
            built = getattr(by, COMPARISON_METHODS[operator])(values[0])
    return built


def build_date_filter(by: PropertyFilter, condition: FilterCondition) -> FilterReturn:
    """Compare with whole years, months and days: `taken_at<=2024` includes the last day, `>2024` excludes it."""
    if condition.operator == "!=":
        equal = FilterCondition(condition.name, condition.kind, "=", condition.values)
        return Filter.not_(build_date_filter(by, equal))
    return match_any([build_period_filter(by, condition.operator, value) for value in condition.values])


def build_period_filter(by: PropertyFilter, operator: str, value: str) -> FilterReturn:
    start, end = parse_period(value)
    is_span = end > start
    built: FilterReturn
    match operator:
        case "=":
            within = [by.greater_or_equal(start), by.less_than(end)]
            built = Filter.all_of(within) if is_span else by.equal(start)
        case "<=":
            built = by.less_than(end) if is_span else by.less_or_equal(start)
        case ">":
            built = by.greater_or_equal(end) if is_span else by.greater_than(start)
        case _:
            built = getattr(by, COMPARISON_METHODS[operator])(start)
    return built


def build_place_filter(by: PropertyFilter, condition: FilterCondition) -> FilterReturn:
    """Match places inside a circle, or outside it; an image without a place matches neither."""
    inside: FilterReturn = by.within_geo_range(*parse_circle(condition.values[0]))
    if condition.operator.startswith("<"):
        return inside
    return Filter.all_of([build_presence_filter(by, PropertyKind.PLACE), Filter.not_(inside)])


def match_any(filters: Sequence[FilterReturn]) -> FilterReturn:
    return Filter.any_of(list(filters)) if len(filters) > 1 else filters[0]
