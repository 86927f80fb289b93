"""The chart's page: every value is explained with its default, and no other. Needs no helm."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.documents import Page
from tests.stack.support import REPOSITORY

CHART = REPOSITORY / "deploy" / "helm" / "clip-vectorizer"
# Objects that are one value to a reader, although they have fields.
WHOLE = ("resources.requests", "resources.limits", "ingest.resources.requests", "ingest.resources.limits", "strategy")


def list_values(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each value with its path: `image.tag`, `local`. An empty object is a value."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        if isinstance(value, dict) and value and path not in WHOLE and not path.endswith("Labels"):
            yield from list_values(value, f"{path}.")
        else:
            yield path, value


def read_values() -> dict[str, Any]:
    return dict(list_values(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))))


def documented() -> dict[str, str]:
    """Path -> default, as the tables of the page have them."""
    page = Page("README.md", (CHART / "README.md").read_text("utf-8"))
    rows = [line.split("|")[1:3] for line in page.text.splitlines() if line.startswith("| `")]
    found = {name.strip(" `"): default.strip(" `") for name, default in rows}
    assert len(found) == len(rows), "a value is explained twice"
    return found


def test_every_value_is_explained_with_its_default() -> None:
    values = read_values()
    assert len(values) > 60
    assert documented() == {path: format_default(value) for path, value in values.items()}


def format_default(value: object) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def test_the_schema_has_every_value_and_no_other() -> None:
    """`helm` checks the values by the schema; this is about what a user may set and the chart would ignore."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    described = set(list_described(schema, schema)) - {"global"}  # which helm adds to every chart
    assert described == set(read_values())


def list_described(schema: dict[str, Any], root: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, each in schema["properties"].items():
        definition = root["definitions"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        if "properties" in definition:
            yield from list_described(definition, root, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_the_templates_use_every_value() -> None:
    text = "".join(file.read_text("utf-8") for file in (CHART / "templates").iterdir())
    unused = [path for path in read_values() if f".{path.rpartition('.')[2]}" not in text and path not in WHOLE]
    assert unused == []
