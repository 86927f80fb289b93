"""A call of weaviate-client as Python source."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from weaviate.classes.query import FilterReturn, GroupBy, MetadataQuery
from weaviate.classes.query import Move as WeaviateMove
from weaviate.collections.classes.filters import _FilterValue
from weaviate.collections.classes.grpc import MMR

from clip_vectorizer.query.explaining.layout import Node, Tree, laid_out, with_name
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.searching.steps import Call

IMPORTS = "from weaviate.classes.query import "
METHODS = {
    "Equal": "equal",
    "NotEqual": "not_equal",
    "LessThan": "less_than",
    "LessThanEqual": "less_or_equal",
    "GreaterThan": "greater_than",
    "GreaterThanEqual": "greater_or_equal",
    "Like": "like",
    "IsNull": "is_none",
    "ContainsAny": "contains_any",
    "ContainsAll": "contains_all",
    "ContainsNone": "contains_none",
}
MANY = {"And": "Filter.all_of", "Or": "Filter.any_of"}
TARGETS = {"_id": "by_id()", "_creationTimeUnix": "by_creation_time()", "_lastUpdateTimeUnix": "by_update_time()"}

Write = Callable[[Any], Node]


def python_source(call: Call, searched: Searched, values: Write) -> str:
    """A few lines that need a connected `client` and leave the answer in `found`. `values` writes the plain ones."""
    arguments = [with_name(f"{name}=", source(value, values)) for name, value in call.arguments.items()]
    body = laid_out(Tree(f"found = collection.query.{call.method}(", arguments, ")"))
    return "\n".join([*imports(body, searched), "", laid_out(collection_of(searched)), body])


def collection_of(searched: Searched) -> Node:
    text = f'collection = client.collections.use("{searched.collection}")'
    if searched.tenant:
        text += f'.with_tenant("{searched.tenant}")'
    if searched.consistency:
        text += f".with_consistency_level(ConsistencyLevel.{searched.consistency})"
    return text


def imports(body: str, searched: Searched) -> list[str]:
    names = [name for name in ("Diversity", "Filter", "GroupBy", "MetadataQuery", "Move") if f"{name}" in body]
    lines = ["from weaviate.classes.config import ConsistencyLevel"] if searched.consistency else []
    if "datetime(" in body:
        lines.append("from datetime import datetime, timezone")
    return [*lines, f"{IMPORTS}{', '.join(names)}"] if names else lines


def source(value: Any, values: Write) -> Node:
    match value:
        case FilterReturn():
            return filter_source(value, values)
        case MetadataQuery():
            names = [name for name in type(value).model_fields if getattr(value, name)]
            return f"MetadataQuery({', '.join(f'{name}=True' for name in names)})"
        case MMR():
            return named("Diversity.mmr", {each.name: getattr(value, each.name) for each in fields(value)}, values)
        case GroupBy():
            return named("GroupBy", value.model_dump(), values)
        case WeaviateMove():
            return named("Move", {"force": value.force, "concepts": value._concepts_list}, values)
    return values(value)


def named(name: str, arguments: Mapping[str, Any], values: Write) -> Node:
    return Tree(f"{name}(", [with_name(f"{key}=", values(value)) for key, value in arguments.items()], ")")


def filter_source(value: FilterReturn, values: Write) -> Node:
    if isinstance(value, _FilterValue):
        return with_name(f"Filter.{target_source(value)}", condition(value, values))
    operands = [filter_source(each, values) for each in value.filters]  # type: ignore[attr-defined]
    operator = str(value.operator.value)  # type: ignore[attr-defined]
    return Tree(f"{MANY[operator]}([", operands, "])") if operator in MANY else Tree("Filter.not_(", operands, ")")


def target_source(value: _FilterValue) -> str:
    target = str(value.target)
    if target.startswith("len("):
        return f'by_property("{target[4:-1]}", length=True)'
    return TARGETS.get(target) or f'by_property("{target}")'


def condition(value: _FilterValue, values: Write) -> Node:
    operator = value.operator.value
    if operator in METHODS:
        return Tree(f".{METHODS[operator]}(", [values(value.value)], ")")
    place: Any = value.value
    where = f"GeoCoordinate(latitude={place.latitude}, longitude={place.longitude})"
    return Tree(".within_geo_range(", [where, f"distance={place.distance}"], ")")


def literal(value: Any) -> Node:
    """Plain values: text, numbers, times and lists of them."""
    if isinstance(value, list | tuple):
        return Tree("[", [literal(each) for each in value], "]")
    if isinstance(value, datetime):
        return f'datetime.fromisoformat("{value.isoformat()}")'
    return double_quoted(value) if isinstance(value, str) else repr(value)


def double_quoted(text: str) -> str:
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text and "\\'" not in written else written
