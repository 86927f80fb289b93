"""Explain why a search with filters found nothing: a value that no image has, and a similar one that some have.

wanted = list_filter_values(filters, properties)
existing = {name: read_group_values(collection.aggregate.over_all(**group_by_arguments(name))) for name in wanted}
hint = explain_empty(wanted, existing)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from weaviate.classes.aggregate import GroupByAggregate
from weaviate.classes.config import DataType
from weaviate.collections.classes.aggregate import AggregateGroupByReturn

from clip_vectorizer.database.schema import (
    CAMERA,
    LABEL,
    MIME,
    MODEL,
    PREDICTED_BY,
    PREDICTED_LABEL,
    PREDICTED_RUNNER_UP,
    SOURCE,
)
from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import suggest
from clip_vectorizer.query.filters.where import FilterInput, list_expressions, parse_condition

# Not properties with thousands of values, such as paths: listing them takes Weaviate seconds.
FEW_VALUES = (LABEL, CAMERA, MIME, MODEL, SOURCE, PREDICTED_LABEL, PREDICTED_RUNNER_UP, PREDICTED_BY)
MAX_VALUES = 2_000
MAX_SHOWN_VALUES = 10

ValuesByProperty = Mapping[str, Sequence[str]]


def list_filter_values(filters: FilterInput, properties: Mapping[str, DataType]) -> dict[str, list[str]]:
    """Return the values after `=` in expressions, for the properties in FEW_VALUES.

    `filters` must be valid: checked by `build_filter`.
    """
    wanted: dict[str, list[str]] = {}
    for expression in list_expressions(filters) if isinstance(filters, Sequence) else []:
        condition = parse_condition(expression, properties)
        if condition.operator == "=" and condition.name in FEW_VALUES:
            wanted.setdefault(condition.name, []).extend(condition.values)
    return wanted


def group_by_arguments(name: str) -> dict[str, Any]:
    """Return arguments of weaviate-client's `aggregate.over_all` that list the values of a property."""
    return {"group_by": GroupByAggregate(prop=name, limit=MAX_VALUES)}


def read_group_values(found: AggregateGroupByReturn) -> list[str]:
    """Return the values, most frequent first; none if there may be more than MAX_VALUES."""
    values = [str(group.grouped_by.value) for group in found.groups]
    return values if len(values) < MAX_VALUES else []


def explain_empty(wanted: ValuesByProperty, existing: ValuesByProperty) -> str:
    """Return a sentence about the first wanted value that no image has; "" if images have all of them.

    Raises InputError if a similar value exists, which was probably meant.

    >>> explain_empty({"label": ["owls"]}, {"label": ["fruit", "birds"]})
    "no image has the label 'owls'; there are fruit, birds"
    """
    for name, values in wanted.items():
        candidates = [value for value in existing[name] if value]
        for value in values if candidates else ():
            if value not in existing[name]:
                return build_hint(name, value, candidates)
    return ""


def build_hint(name: str, value: str, candidates: Sequence[str]) -> str:
    missing = f"no image has the {name} {value!r}"
    if near := suggest(value, candidates):
        raise InputError(f"{missing}; {str(near).strip()}", near)
    more = ", ..." if len(candidates) > MAX_SHOWN_VALUES else ""
    return f"{missing}; there are {', '.join(candidates[:MAX_SHOWN_VALUES])}{more}"
