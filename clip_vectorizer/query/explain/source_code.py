"""A call of weaviate-client as Python and as GraphQL, which finds the same at /v1/graphql.

Source is a tree of calls, lists and objects, broken into lines as a formatter would do.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import FilterReturn, GroupBy, MetadataQuery
from weaviate.classes.query import Move as WeaviateMove
from weaviate.collections.classes.filters import _FilterValue
from weaviate.collections.classes.grpc import MMR

from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall

QUERY_IMPORT = "from weaviate.classes.query import "
QUERY_CLASSES = ("Diversity", "Filter", "GeoCoordinate", "GroupBy", "MetadataQuery", "Move")
FILTER_METHODS = {
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
FILTER_GROUPS = {"And": "Filter.all_of", "Or": "Filter.any_of"}
FILTER_TARGETS = {
    "_id": "by_id()",
    "_creationTimeUnix": "by_creation_time()",
    "_lastUpdateTimeUnix": "by_update_time()",
}
GRAPHQL_VALUES = {
    DataType.INT: "valueInt",
    DataType.NUMBER: "valueNumber",
    DataType.BOOL: "valueBoolean",
    DataType.DATE: "valueDate",
    DataType.INT_ARRAY: "valueInt",
    DataType.NUMBER_ARRAY: "valueNumber",
    DataType.BOOL_ARRAY: "valueBoolean",
    DataType.DATE_ARRAY: "valueDate",
}
GRAPHQL_PATHS = {"_id": "id"}
INDENT = "    "
LINE_WIDTH = 80


@dataclass(frozen=True, slots=True)
class SourceTree:
    """`before` + items, separated by commas + `after`: a call, a list, an object."""

    before: str
    items: Sequence["SourceNode"]
    after: str


SourceNode = str | SourceTree
ValueWriter = Callable[[Any], SourceNode]  # writes texts, numbers, times, and lists of them


def python_source(call: WeaviateCall, target: SearchTarget, values: ValueWriter) -> str:
    """Return lines that need a connected `client` and leave the answer in `found`."""
    arguments = [prefix_node(f"{name}=", value_source(value, values)) for name, value in call.arguments.items()]
    body = format_node(SourceTree(f"found = collection.query.{call.method}(", arguments, ")"))
    return "\n".join([*import_lines(body, target), "", format_node(collection_source(target)), body])


def collection_source(target: SearchTarget) -> SourceNode:
    source = f'collection = client.collections.use("{target.collection}")'
    if target.tenant:
        source += f'.with_tenant("{target.tenant}")'
    if target.consistency_level:
        source += f".with_consistency_level(ConsistencyLevel.{target.consistency_level})"
    return source


def import_lines(body: str, target: SearchTarget) -> list[str]:
    names = [name for name in QUERY_CLASSES if name in body]
    lines = ["from weaviate.classes.config import ConsistencyLevel"] if target.consistency_level else []
    if "datetime(" in body:
        lines.append("from datetime import datetime")
    return [*lines, f"{QUERY_IMPORT}{', '.join(names)}"] if names else lines


def value_source(value: Any, values: ValueWriter) -> SourceNode:
    match value:
        case FilterReturn():
            return filter_source(value, values)
        case MetadataQuery():
            names = [name for name in type(value).model_fields if getattr(value, name)]
            return f"MetadataQuery({', '.join(f'{name}=True' for name in names)})"
        case MMR():
            return constructor_source(
                "Diversity.mmr", {each.name: getattr(value, each.name) for each in fields(value)}, values
            )
        case GroupBy():
            return constructor_source("GroupBy", value.model_dump(), values)
        case WeaviateMove():
            return constructor_source("Move", {"force": value.force, "concepts": value._concepts_list}, values)
    return values(value)


def constructor_source(name: str, arguments: Mapping[str, Any], values: ValueWriter) -> SourceNode:
    return SourceTree(f"{name}(", [prefix_node(f"{key}=", values(value)) for key, value in arguments.items()], ")")


def filter_source(value: FilterReturn, values: ValueWriter) -> SourceNode:
    if isinstance(value, _FilterValue):
        return prefix_node(f"Filter.{target_source(value)}", condition_source(value, values))
    operands = [filter_source(each, values) for each in value.filters]  # type: ignore[attr-defined]
    group = FILTER_GROUPS.get(str(value.operator.value))  # type: ignore[attr-defined]
    return SourceTree(f"{group}([", operands, "])") if group else SourceTree("Filter.not_(", operands, ")")


def target_source(value: _FilterValue) -> str:
    target = str(value.target)
    if target.startswith("len("):
        return f'by_property("{target[4:-1]}", length=True)'
    return FILTER_TARGETS.get(target) or f'by_property("{target}")'


def condition_source(value: _FilterValue, values: ValueWriter) -> SourceNode:
    operator = value.operator.value
    if operator in FILTER_METHODS:
        return SourceTree(f".{FILTER_METHODS[operator]}(", [values(value.value)], ")")
    place: Any = value.value
    where = f"GeoCoordinate(latitude={place.latitude}, longitude={place.longitude})"
    return SourceTree(".within_geo_range(", [where, f"distance={place.distance}"], ")")


def python_literal(value: Any) -> SourceNode:
    """Write a text, a number, a time, or a list of them."""
    if isinstance(value, list | tuple):
        return SourceTree("[", [python_literal(each) for each in value], "]")
    if isinstance(value, datetime):
        return f'datetime.fromisoformat("{value.isoformat()}")'
    return double_quote(value) if isinstance(value, str) else repr(value)


def double_quote(text: str) -> str:
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text and "\\'" not in written else written


def graphql_source(call: WeaviateCall, target: SearchTarget, values: ValueWriter) -> str | None:
    """Return None for diversity, which GraphQL lacks, and for groups of a hybrid search, which it makes differently.

    Seen with Weaviate 1.39.0.
    """
    if "diversity_selection" in call.arguments or (call.method == "hybrid" and "group_by" in call.arguments):
        return None
    arguments = [*near_argument(call, target, values), *list_other_arguments(call, target, values)]
    *lines, last = format_node(
        SourceTree(f"{{ Get {{ {target.collection}(", arguments, ")"), LINE_WIDTH - 2
    ).splitlines()
    lines.append(format_node(SourceTree(f"{last} {{ ", list_fields(call, target), " } } }")))
    if target.consistency_level:
        lines.insert(0, f"# replicated collections also take consistencyLevel: {target.consistency_level}")
    return "\n".join(lines)


def near_argument(call: WeaviateCall, target: SearchTarget, values: ValueWriter) -> list[SourceNode]:
    given = call.arguments
    vector_name: SourceNode = f'targetVectors: ["{target.vector}"]'
    distance = [prefix_node("distance: ", values(given["distance"]))] if "distance" in given else []
    match call.method:
        case "near_text":
            moves = {"move_to": "moveTo: ", "move_away": "moveAwayFrom: "}
            moving = [prefix_node(moves[name], move_object(given[name], values)) for name in moves if name in given]
            concepts = prefix_node("concepts: ", values([given["query"]]))
            return [SourceTree("nearText: {", [concepts, *moving, vector_name, *distance], "}")]
        case "near_vector":
            vector = prefix_node("vector: ", values(given["near_vector"]))
            return [SourceTree("nearVector: {", [vector, vector_name, *distance], "}")]
    names = {"query": "query", "vector": "vector", "alpha": "alpha", "query_properties": "properties"}
    names |= {"max_vector_distance": "maxVectorDistance"}
    parts = [prefix_node(f"{names[name]}: ", values(given[name])) for name in names if name in given]
    return [SourceTree("hybrid: {", [*parts, vector_name], "}")]


def move_object(value: WeaviateMove, values: ValueWriter) -> SourceNode:
    return SourceTree("{", [prefix_node("concepts: ", values(value._concepts_list)), f"force: {value.force}"], "}")


def list_other_arguments(call: WeaviateCall, target: SearchTarget, values: ValueWriter) -> list[SourceNode]:
    names = {"limit": "limit", "offset": "offset", "auto_limit": "autocut"}
    arguments: list[SourceNode] = [f"{names[name]}: {call.arguments[name]}" for name in names if name in call.arguments]
    if group_by := call.arguments.get("group_by"):
        count = f"groups: {group_by.number_of_groups}, objectsPerGroup: {group_by.objects_per_group}"
        arguments.append(f'groupBy: {{path: ["{group_by.prop}"], {count}}}')
    if filters := call.arguments.get("filters"):
        arguments.append(prefix_node("where: ", where_object(filters, target.properties, values)))
    if target.tenant:
        arguments.append(prefix_node("tenant: ", values(target.tenant)))
    return arguments


def where_object(value: FilterReturn, types: Mapping[str, DataType], values: ValueWriter) -> SourceNode:
    operator = value.operator.value  # type: ignore[attr-defined]
    if not isinstance(value, _FilterValue):
        operands = [where_object(each, types, values) for each in value.filters]  # type: ignore[attr-defined]
        return SourceTree("{", [f"operator: {operator}", SourceTree("operands: [", operands, "]")], "}")
    path = GRAPHQL_PATHS.get(str(value.target), str(value.target))
    return SourceTree(
        "{", [f'path: ["{path}"]', f"operator: {operator}", compared_value(value, types.get(path), values)], "}"
    )


def compared_value(value: _FilterValue, kind: DataType | None, values: ValueWriter) -> SourceNode:
    found: Any = value.value
    if value.operator.value == "WithinGeoRange":
        place = f"geoCoordinates: {{latitude: {found.latitude}, longitude: {found.longitude}}}"
        return SourceTree("valueGeoRange: {", [place, f"distance: {{max: {found.distance}}}"], "}")
    if str(value.target).startswith("len("):
        return f"valueInt: {found}"
    kind = DataType.BOOL if value.operator.value == "IsNull" else kind or DataType.TEXT
    name = GRAPHQL_VALUES.get(kind, "valueText")
    return prefix_node(f"{name}: ", values(found))


def list_fields(call: WeaviateCall, target: SearchTarget) -> list[SourceNode]:
    """Return the fields to read."""
    names: list[SourceNode] = [field_source(name, target) for name in call.arguments["return_properties"]]
    if "group_by" in call.arguments:  # hits of groups have neither score nor named vectors
        of_hits = [*names, "_additional { id distance }"]
        return [SourceTree("_additional { group { groupedBy { value } hits { ", of_hits, " } } }")]
    additional = ["id", "score" if call.method == "hybrid" else "distance"]
    if "include_vector" in call.arguments:
        additional.append(f"vectors {{ {target.vector} }}")
    return [*names, f"_additional {{ {' '.join(additional)} }}"]


def field_source(name: str, target: SearchTarget) -> str:
    geo = target.properties.get(name) is DataType.GEO_COORDINATES
    return f"{name} {{ latitude longitude }}" if geo else name


def graphql_literal(value: Any) -> SourceNode:
    """Write a text, a number, a time, or a list of them."""
    if isinstance(value, list | tuple):
        return SourceTree("[", [graphql_literal(each) for each in value], "]")
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    return json.dumps(value if isinstance(value, str | bool | int | float) else str(value), ensure_ascii=False)


def format_node(node: SourceNode, width: int = LINE_WIDTH, indent: str = "", ending: str = "") -> str:
    """Write a node on one line where it fits, else one item per line, each formatted the same way."""
    line = indent + format_on_one_line(node) + ending
    if isinstance(node, str) or len(line) <= width or not node.items:
        return line
    items = [format_node(item, width, indent + INDENT, ",") for item in node.items]
    return "\n".join([indent + node.before.rstrip(), *items, indent + node.after.lstrip() + ending])


def format_on_one_line(node: SourceNode) -> str:
    if isinstance(node, str):
        return node
    return node.before + ", ".join(map(format_on_one_line, node.items)) + node.after


def prefix_node(name: str, node: SourceNode) -> SourceNode:
    """Put `name` before a node: `limit=`, `limit: `."""
    return name + node if isinstance(node, str) else SourceTree(name + node.before, node.items, node.after)
