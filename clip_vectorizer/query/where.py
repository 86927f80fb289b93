"""Filter expressions, `label=fruit` and `taken_at>=2024-01-01`, as Weaviate's filters."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.lookup import did_you_mean

Where = str | Sequence[str] | FilterReturn | None
COMPARISON = re.compile(r"\s*(\w+)\s*(!=|<=|>=|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
EXAMPLE = "for example label=fruit or taken_at>=2024-01-01"


def where_filter(where: Where, properties: Mapping[str, DataType]) -> FilterReturn | None:
    """All of the expressions at once; a filter of weaviate-client stays as it is. Raises InputError."""
    if where is None or isinstance(where, FilterReturn):
        return where
    expressions = [where] if isinstance(where, str) else where
    filters = [expression_filter(expression, properties) for expression in expressions]
    return Filter.all_of(filters) if len(filters) > 1 else filters[0] if filters else None


def expression_filter(expression: str, properties: Mapping[str, DataType]) -> FilterReturn:
    parts = COMPARISON.fullmatch(expression)
    if parts is None:
        raise InputError(f"--where {expression!r}: expected a property, a comparison and a value, {EXAMPLE}")
    name, operator, text = parts.groups()
    if name not in properties:
        raise InputError(
            f"--where {expression!r}: the collection has no property {name}; {did_you_mean(name, properties)}"
            f"it has {', '.join(sorted(properties))}"
        )
    values = [value_of(each.strip(), properties[name]) for each in text.split("|")]
    by = Filter.by_property(name)
    match operator:
        case "=":
            return by.contains_any(values) if len(values) > 1 else by.equal(values[0])
        case "!=":
            return by.contains_none(values) if len(values) > 1 else by.not_equal(values[0])
        case "~":
            return Filter.any_of([by.like(value) for value in values]) if len(values) > 1 else by.like(values[0])
        case "<":
            return by.less_than(values[0])
        case "<=":
            return by.less_or_equal(values[0])
        case ">":
            return by.greater_than(values[0])
    return by.greater_or_equal(values[0])


def value_of(text: str, data_type: DataType) -> Any:
    if data_type is DataType.INT:
        return int(text)
    if data_type is DataType.NUMBER:
        return float(text)
    if data_type is DataType.BOOL:
        return text.lower() == "true"
    if data_type is DataType.DATE:
        time = datetime.fromisoformat(text)
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return text
