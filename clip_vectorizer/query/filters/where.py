"""Filter expressions, as people type them, made into Weaviate's filters.

label=fruit   label=fruit|vegetables   label!=fruit   path~2024/*.jpg   caption=red apple   size>=100000
taken_at=2024-06   sold=true   camera?   !camera?   location<10km@52.5,13.4

One condition as Weaviate's filter, by what the property holds.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn

from clip_vectorizer.errors import InputError
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
from clip_vectorizer.query.near_strings import did_you_mean
from clip_vectorizer.query.prompts import normalize_text

COMPARISON = re.compile(r"\s*(\w+)\s*(!=|<=|>=|==|=|<|>|~)(.*)", re.DOTALL)
PRESENCE = re.compile(r"\s*(!?)\s*(\w+)\s*\?\s*")
# Each value with | around it; one inside quotes belongs to the value, and so does \\|.
VALUE_LIST = re.compile(r"""(?:^|\|)(\s*"[^"]*"\s*(?=\||$)|\s*'[^']*'\s*(?=\||$)|(?:\\\||[^|])*)""")
QUOTED_VALUE = re.compile(r"""(["'])(.*)\1""", re.DOTALL)
EXAMPLES = "for example label=fruit, size>=1000 or taken_at>=2024-01-01"
EQUAL, ORDER, LIKE = ("=", "!="), ("<", "<=", ">", ">="), ("~",)
OPERATORS = {
    PropertyKind.EXACT: EQUAL + ORDER + LIKE,
    PropertyKind.WORDS: EQUAL + LIKE,
    PropertyKind.WHOLE: EQUAL + ORDER,
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
    PropertyKind.WHOLE: parse_integer,
    PropertyKind.NUMBER: parse_number,
    PropertyKind.BOOL: parse_bool,
}

FilterInput = str | Sequence[str] | FilterReturn | None


def build_filter(where: FilterInput, properties: Mapping[str, DataType]) -> FilterReturn | None:
    """What meets all of the expressions; a filter of weaviate-client stays as it is.

    `properties`: the collection's. An expression is a property, one of = != < <= > >= ~, and a value; after = != ~ also
    several with | between, of which any will do. ~ takes a pattern: * is anything, ? one letter. `label?` has a value,
    `!label?` has none. Texts of many words, like a caption, are compared by their words: = finds all of them in any
    order. Times without a zone are UTC. Raises InputError that names the expression.
    """
    if where is None or isinstance(where, FilterReturn):
        return where
    filters = [build_expression_filter(expression, properties) for expression in list_expressions(where)]
    return Filter.all_of(filters) if len(filters) > 1 else filters[0] if filters else None


def list_expressions(where: str | Sequence[str]) -> Sequence[str]:
    several = isinstance(where, Sequence) and not isinstance(where, str | bytes)
    return where if several else [where]  # type: ignore[list-item]  # it is looked at one by one


def build_expression_filter(expression: str, properties: Mapping[str, DataType]) -> FilterReturn:
    if not isinstance(expression, str):
        raise InputError(f"the filter {expression!r}: expected a text, {EXAMPLES}")
    try:
        normalize_text(expression)  # what is no UTF-8 cannot be sent
        return build_condition_filter(parse_condition(expression, properties))
    except InvalidFilterValue as error:
        raise InputError(f"the filter {expression!r}: {error}") from None


@dataclass(frozen=True, slots=True)
class FilterCondition:
    """One expression, taken apart. Of `values` any will do."""

    name: str
    kind: PropertyKind
    operator: str  # = != < <= > >= ~ HAS HAS_NOT
    values: tuple[str, ...] = ()


def parse_condition(expression: str, properties: Mapping[str, DataType]) -> FilterCondition:
    """Raises BadValue for what is no expression, and for what the property cannot be asked."""
    if presence := PRESENCE.fullmatch(expression):
        without, name = presence.groups()
        return FilterCondition(name, check_filterable(name, properties), HAS_NOT if without else HAS)
    parts = COMPARISON.fullmatch(expression)
    if parts is None:
        raise InvalidFilterValue(f"expected a property, a comparison and a value, {EXAMPLES}")
    name, operator, text = parts[1], parts[2].replace("==", "="), parts[3]
    kind = check_filterable(name, properties)
    if operator not in OPERATORS[kind]:
        raise InvalidFilterValue(f"{name} holds {kind.value}; take {' '.join(OPERATORS[kind])}")
    return FilterCondition(name, kind, operator, parse_values(text, name, operator))


def check_filterable(name: str, properties: Mapping[str, DataType]) -> PropertyKind:
    kinds = {each: find_kind(each, data_type) for each, data_type in sorted(properties.items())}
    usable = [each for each, kind in kinds.items() if kind]
    if name not in kinds:
        raise InvalidFilterValue(
            f"no property is called {name}; {did_you_mean(name, usable)}there are {', '.join(usable)}"
        )
    kind = kinds[name]
    if kind is None:
        raise InvalidFilterValue(f"{name} has no index to filter by; these have: {', '.join(usable)}")
    return kind


def parse_values(text: str, name: str, operator: str) -> tuple[str, ...]:
    parts = [part.strip() for part in VALUE_LIST.findall(text)]
    if "" in parts:
        raise InvalidFilterValue(f'a value is missing; {name}="" finds empty texts, !{name}? what has no value')
    if len(parts) > 1 and operator in ORDER:
        raise InvalidFilterValue(f"{operator} takes one value; several, with | between, go with = != ~")
    return tuple(unquote(part) for part in parts)


def unquote(part: str) -> str:
    """Quotes around a value are no part of it, | inside of them and \\| are the sign itself."""
    quoted = QUOTED_VALUE.fullmatch(part)
    return (quoted[2] if quoted else part).replace(r"\|", "|")


PropertyFilter = Any  # what Filter.by_property gives: weaviate-client keeps its class to itself


def build_condition_filter(wanted: FilterCondition) -> FilterReturn:
    """Raises BadValue for values that are not of the property's type."""
    by = Filter.by_property(wanted.name)
    if wanted.operator == HAS:
        return build_presence_filter(by, wanted.kind)
    if wanted.operator == HAS_NOT:
        return Filter.not_(build_presence_filter(by, wanted.kind))
    if wanted.kind is PropertyKind.DATE:
        return build_date_filter(by, wanted)
    if wanted.kind is PropertyKind.PLACE:
        return build_place_filter(by, wanted)
    return build_comparison_filter(by, wanted)


def build_presence_filter(by: PropertyFilter, kind: PropertyKind) -> FilterReturn:
    """By comparing with the least that there is, for missing values are not indexed."""
    found: FilterReturn
    match kind:
        case PropertyKind.EXACT | PropertyKind.WORDS:
            found = by.like("?*")  # one letter at least: an image without a label has an empty one
        case PropertyKind.WHOLE | PropertyKind.NUMBER:
            found = by.greater_or_equal(-EXACT_INTEGERS if kind is PropertyKind.WHOLE else MIN_DOUBLE)
        case PropertyKind.DATE:
            found = by.greater_or_equal(EARLIEST)
        case PropertyKind.BOOL:
            found = by.contains_any([True, False])
        case PropertyKind.PLACE:
            found = by.within_geo_range(*EVERYWHERE)
    return found


def build_comparison_filter(by: PropertyFilter, wanted: FilterCondition) -> FilterReturn:
    """Texts, numbers, true and false. What has no value at all is != to everything."""
    if wanted.operator == "~":
        read = check_pattern if wanted.kind is PropertyKind.WORDS else str
        return match_any([by.like(read(value)) for value in wanted.values])
    values = [VALUE_PARSERS[wanted.kind](value) for value in wanted.values]
    found: FilterReturn
    match wanted.operator:
        case "=":
            found = by.contains_any(values) if len(values) > 1 else by.equal(values[0])
        case "!=":
            found = by.contains_none(values) if len(values) > 1 else by.not_equal(values[0])
        case operator:
            found = getattr(by, COMPARISON_METHODS[operator])(values[0])
    return found


def build_date_filter(by: PropertyFilter, wanted: FilterCondition) -> FilterReturn:
    """A year, a month and a day last: `taken_at<=2024` takes in its last day, `taken_at>2024` begins after it."""
    if wanted.operator == "!=":
        return Filter.not_(build_date_filter(by, FilterCondition(wanted.name, wanted.kind, "=", wanted.values)))
    return match_any([build_period_filter(by, wanted.operator, value) for value in wanted.values])


def build_period_filter(by: PropertyFilter, operator: str, value: str) -> FilterReturn:
    start, end = parse_period(value)
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
            found = getattr(by, COMPARISON_METHODS[operator])(start)
    return found


def build_place_filter(by: PropertyFilter, wanted: FilterCondition) -> FilterReturn:
    """Inside of a circle, or outside of it and somewhere."""
    inside: FilterReturn = by.within_geo_range(*parse_circle(wanted.values[0]))
    if wanted.operator.startswith("<"):
        return inside
    return Filter.all_of([build_presence_filter(by, PropertyKind.PLACE), Filter.not_(inside)])


def match_any(filters: Sequence[FilterReturn]) -> FilterReturn:
    return Filter.any_of(list(filters)) if len(filters) > 1 else filters[0]
