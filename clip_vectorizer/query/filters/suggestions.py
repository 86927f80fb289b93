"""Why a search with filters found nothing: a value that no image has, and the one that was probably meant.

asked = values_asked(where, properties)
held = {name: values_of(collection.aggregate.over_all(**grouping(name))) for name in asked}
hint = explain_empty(asked, held)
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
from clip_vectorizer.query.filters.where import FilterInput, list_expressions, parse_condition
from clip_vectorizer.query.near_strings import did_you_mean

# Weaviate takes seconds to list thousands of values, as paths are.
FEW_VALUES = (LABEL, CAMERA, MIME, MODEL, SOURCE, PREDICTED_LABEL, PREDICTED_RUNNER_UP, PREDICTED_BY)
MAX_VALUES = 2_000
MAX_SHOWN_VALUES = 10

ValuesByProperty = Mapping[str, Sequence[str]]  # of properties


def list_filter_values(where: FilterInput, properties: Mapping[str, DataType]) -> dict[str, list[str]]:
    """What `where` wants some properties to be, after `=`: those whose values can be listed. No more than it can tell.

    `where` has been through `where_filter`, so nothing is wrong with it.
    """
    asked: dict[str, list[str]] = {}
    for expression in list_expressions(where) if isinstance(where, Sequence) else []:
        wanted = parse_condition(expression, properties)
        if wanted.operator == "=" and wanted.name in FEW_VALUES:
            asked.setdefault(wanted.name, []).extend(wanted.values)
    return asked


def group_by_arguments(name: str) -> dict[str, Any]:
    """Arguments of weaviate-client's `aggregate.over_all` that list the values of a property."""
    return {"group_by": GroupByAggregate(prop=name, limit=MAX_VALUES)}


def read_group_values(found: AggregateGroupByReturn) -> list[str]:
    """The commonest first. None at all where there are too many to be sure that one is missing."""
    values = [str(group.grouped_by.value) for group in found.groups]
    return values if len(values) < MAX_VALUES else []


def explain_empty(asked: ValuesByProperty, held: ValuesByProperty) -> str:
    """A sentence about the first value asked for that no image has; empty where there is none.

    Raises InputError when it is near to one that images do have: that one was meant.
    """
    for name, values in asked.items():
        there = [value for value in held[name] if value]
        for value in values if there else ():
            if value not in held[name]:
                return build_hint(name, value, there)
    return ""


def build_hint(name: str, value: str, there: Sequence[str]) -> str:
    missing = f"no image has the {name} {value!r}"
    if meant := did_you_mean(value, there):
        raise InputError(f"{missing}; {meant.strip()}")
    more = ", ..." if len(there) > MAX_SHOWN_VALUES else ""
    return f"{missing}; there are {', '.join(there[:MAX_SHOWN_VALUES])}{more}"
