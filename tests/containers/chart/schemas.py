"""JSON schemas of Kubernetes' kinds for kubeconform, each in one piece, from an OpenAPI description or a definition.

They are strict: a field that is not described is an error, as for `kubectl apply --validate=strict`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

JsonObject = dict[str, Any]
REFERENCE = "#/definitions/"
# Kubernetes reads these from a number too, although its description calls them texts.
NUMBERS_TOO = ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "io.k8s.apimachinery.pkg.api.resource.Quantity")
NUMBER_OR_TEXT = {"type": ["string", "number"]}


def build_kind_schemas(openapi: JsonObject) -> dict[str, JsonObject]:
    """File name without `.json` -> schema, for every kind of an OpenAPI 2 description."""
    definitions = {**openapi["definitions"], **dict.fromkeys(NUMBERS_TOO, NUMBER_OR_TEXT)}
    schemas = {}
    for name, definition in definitions.items():
        for kind in definition.get("x-kubernetes-group-version-kind", ()):
            needed = {each: close_objects(definitions[each]) for each in sorted(find_needed(name, definitions))}
            schema = pin_kind(needed[name], kind)
            schemas[name_schema(**kind)] = {**schema, "definitions": needed}
    return schemas


def build_definition_schemas(definition: JsonObject) -> dict[str, JsonObject]:
    """The same for every version of a CustomResourceDefinition."""
    spec = definition["spec"]
    return {
        name_schema(spec["group"], version["name"], spec["names"]["kind"]): close_objects(
            version["schema"]["openAPIV3Schema"]
        )
        for version in spec["versions"]
    }


def name_schema(group: str, version: str, kind: str) -> str:
    """As kubeconform names it: `deployment-apps-v1`, `service-v1`, `servicemonitor-monitoring-v1`."""
    return "-".join(filter(None, (kind.lower(), group.partition(".")[0], version)))


def pin_kind(schema: JsonObject, kind: Mapping[str, str]) -> JsonObject:
    version = "/".join(filter(None, (kind["group"], kind["version"])))
    pinned = {"apiVersion": {"const": version}, "kind": {"const": kind["kind"]}}
    required = sorted({*schema.get("required", ()), "apiVersion", "kind"})
    return {**schema, "properties": {**schema.get("properties", {}), **pinned}, "required": required}


def find_needed(name: str, definitions: Mapping[str, JsonObject]) -> set[str]:
    """The definition and all that it refers to, directly or not."""
    needed, left = set(), [name]
    while left:
        each = left.pop()
        if each not in needed:
            needed.add(each)
            left += find_references(definitions[each])
    return needed


def find_references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference.removeprefix(REFERENCE)
        for each in schema.values():
            yield from find_references(each)


def close_objects(schema: Any) -> Any:
    """The schema with every described object closed to other fields."""
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return NUMBER_OR_TEXT
    closed = {key: close_part(key, value) for key, value in schema.items() if key != "format"}
    is_open = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    return closed if is_open or "properties" not in schema else {**closed, "additionalProperties": False}


def close_part(key: str, value: Any) -> Any:
    if key == "properties":  # names of fields, which may be those of JSON schema's own words
        return {name: close_objects(each) for name, each in value.items()}
    return close_objects(value)
