"""A call of weaviate-client as GraphQL, which finds the same at /v1/graphql."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from weaviate.classes.config import DataType
from weaviate.classes.query import FilterReturn
from weaviate.classes.query import Move as WeaviateMove
from weaviate.collections.classes.filters import _FilterValue

from clip_vectorizer.query.explaining.layout import WIDTH, Node, Tree, laid_out, with_name
from clip_vectorizer.query.searching.calls import Searched
from clip_vectorizer.query.searching.steps import Call

VALUES = {
    DataType.INT: "valueInt",
    DataType.NUMBER: "valueNumber",
    DataType.BOOL: "valueBoolean",
    DataType.DATE: "valueDate",
    DataType.INT_ARRAY: "valueInt",
    DataType.NUMBER_ARRAY: "valueNumber",
    DataType.BOOL_ARRAY: "valueBoolean",
    DataType.DATE_ARRAY: "valueDate",
}
PATHS = {"_id": "id"}

Write = Callable[[Any], Node]


def graphql_source(call: Call, searched: Searched, values: Write) -> str | None:
    """None where GraphQL cannot say it: it has no diversity, and makes other groups of a hybrid search [1.39.0]."""
    if "diversity_selection" in call.arguments or (call.method == "hybrid" and "group_by" in call.arguments):
        return None
    arguments = [*near(call, searched, values), *beside(call, searched, values)]
    *lines, last = laid_out(Tree(f"{{ Get {{ {searched.collection}(", arguments, ")"), WIDTH - 2).splitlines()
    lines.append(laid_out(Tree(f"{last} {{ ", selected(call, searched), " } } }")))
    if searched.consistency:
        lines.insert(0, f"# replicated collections also take consistencyLevel: {searched.consistency}")
    return "\n".join(lines)


def near(call: Call, searched: Searched, values: Write) -> list[Node]:
    given = call.arguments
    target: Node = f'targetVectors: ["{searched.vector}"]'
    distance = [with_name("distance: ", values(given["distance"]))] if "distance" in given else []
    match call.method:
        case "near_text":
            moves = {"move_to": "moveTo: ", "move_away": "moveAwayFrom: "}
            moving = [with_name(moves[name], move(given[name], values)) for name in moves if name in given]
            concepts = with_name("concepts: ", values([given["query"]]))
            return [Tree("nearText: {", [concepts, *moving, target, *distance], "}")]
        case "near_vector":
            vector = with_name("vector: ", values(given["near_vector"]))
            return [Tree("nearVector: {", [vector, target, *distance], "}")]
    names = {"query": "query", "vector": "vector", "alpha": "alpha", "query_properties": "properties"}
    names |= {"max_vector_distance": "maxVectorDistance"}
    parts = [with_name(f"{names[name]}: ", values(given[name])) for name in names if name in given]
    return [Tree("hybrid: {", [*parts, target], "}")]


def move(value: WeaviateMove, values: Write) -> Node:
    return Tree("{", [with_name("concepts: ", values(value._concepts_list)), f"force: {value.force}"], "}")


def beside(call: Call, searched: Searched, values: Write) -> list[Node]:
    names = {"limit": "limit", "offset": "offset", "auto_limit": "autocut"}
    arguments: list[Node] = [f"{names[name]}: {call.arguments[name]}" for name in names if name in call.arguments]
    if group_by := call.arguments.get("group_by"):
        count = f"groups: {group_by.number_of_groups}, objectsPerGroup: {group_by.objects_per_group}"
        arguments.append(f'groupBy: {{path: ["{group_by.prop}"], {count}}}')
    if filters := call.arguments.get("filters"):
        arguments.append(with_name("where: ", where(filters, searched.properties, values)))
    if searched.tenant:
        arguments.append(with_name("tenant: ", values(searched.tenant)))
    return arguments


def where(value: FilterReturn, types: Mapping[str, DataType], values: Write) -> Node:
    operator = value.operator.value  # type: ignore[attr-defined]
    if not isinstance(value, _FilterValue):
        operands = [where(each, types, values) for each in value.filters]  # type: ignore[attr-defined]
        return Tree("{", [f"operator: {operator}", Tree("operands: [", operands, "]")], "}")
    path = PATHS.get(str(value.target), str(value.target))
    return Tree("{", [f'path: ["{path}"]', f"operator: {operator}", compared(value, types.get(path), values)], "}")


def compared(value: _FilterValue, kind: DataType | None, values: Write) -> Node:
    found: Any = value.value
    if value.operator.value == "WithinGeoRange":
        place = f"{{latitude: {found.latitude}, longitude: {found.longitude}}}"
        return f"valueGeoRange: {{geoCoordinates: {place}, distance: {{max: {found.distance}}}}}"
    if str(value.target).startswith("len("):
        return f"valueInt: {found}"
    name = "valueBoolean" if value.operator.value == "IsNull" else VALUES.get(kind or DataType.TEXT, "valueText")
    return with_name(f"{name}: ", values(found))


def selected(call: Call, searched: Searched) -> list[Node]:
    """The fields that are read."""
    names: list[Node] = [subfields(name, searched) for name in call.arguments["return_properties"]]
    if "group_by" in call.arguments:  # whose hits have neither score nor named vectors
        of_hits = [*names, "_additional { id distance }"]
        return [Tree("_additional { group { groupedBy { value } hits { ", of_hits, " } } }")]
    told = ["id", "score" if call.method == "hybrid" else "distance"]
    if "include_vector" in call.arguments:
        told.append(f"vectors {{ {searched.vector} }}")
    return [*names, f"_additional {{ {' '.join(told)} }}"]


def subfields(name: str, searched: Searched) -> str:
    geo = searched.properties.get(name) is DataType.GEO_COORDINATES
    return f"{name} {{ latitude longitude }}" if geo else name


def literal(value: Any) -> Node:
    """Plain values: text, numbers, times and lists of them."""
    if isinstance(value, list | tuple):
        return Tree("[", [literal(each) for each in value], "]")
    if isinstance(value, datetime):
        return f'"{value.isoformat()}"'
    return json.dumps(value if isinstance(value, str | bool | int | float) else str(value), ensure_ascii=False)
