"""Anything at all, sent to every operation of the OpenAPI description: no 500, no hang, each error a sentence."""

import json
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from tests.faults.pictures import cut, noise, plain
from tests.faults.processes import Sidecar
from tests.faults.requests import base64_of, sentence_of

NO_CAPTIONER = ("/caption", 501)  # what this sidecar answers there, and nowhere else

EXAMPLES = 150
HANG_SECONDS = 30
METHODS = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]
PICTURES = [base64_of(plain((1, 2, 3))), base64_of(cut(noise(40, 40))), "data:image/png;base64,", "AAAA", "%%"]

Json = Any
fuzzing = hypothesis.settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

words = st.one_of(
    st.text(max_size=20), st.sampled_from([*PICTURES, *(f"data:image/png;base64,{picture}" for picture in PICTURES)])
)
names = st.one_of(
    st.sampled_from(["texts", "images", "input", "image", "model", "encoding_format", "dimensions", "user", "type"]),
    st.text(max_size=5),
)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -0.0, 2**63]))
leaves = st.one_of(words, numbers, st.booleans(), st.none())
anything = st.recursive(
    leaves, lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(names, inner, max_size=5))
)
kinds = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=b",
        "text/plain",
        "",
        "x/y;;=",
    ]
)


def from_schema(schema: Json, description: Json) -> st.SearchStrategy[Json]:
    """Values that fit `schema`, more or less: what the rest of the fuzz misses by being too wild."""
    if "$ref" in schema:
        return from_schema(described(description, schema["$ref"]), description)
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return st.one_of([from_schema(part, description) for part in schema[choice]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    simple = {"string": words, "integer": st.integers(), "number": numbers, "boolean": st.booleans(), "null": st.none()}
    kind = schema.get("type")
    if kind == "array":
        return st.lists(from_schema(schema.get("items", {}), description), max_size=4)
    if kind == "object":
        fields = {name: from_schema(part, description) for name, part in schema.get("properties", {}).items()}
        return st.fixed_dictionaries({}, optional=fields)
    return simple.get(kind, anything) if isinstance(kind, str) else anything


def described(description: Json, reference: str) -> Json:
    for part in reference.removeprefix("#/").split("/"):
        description = description[part]
    return description


def schemas_of(description: Json) -> list[tuple[str, Json]]:
    """Each path with each schema of a JSON body that it takes."""
    return [
        (path, content["schema"])
        for path, operations in description["paths"].items()
        for operation in operations.values()
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
        if kind == "application/json"
    ]


@pytest.fixture(scope="module")
def description(shared: Sidecar) -> Json:
    answer = shared.request("GET", "/openapi.json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_description_names_every_route(description: Json) -> None:
    assert description["openapi"].startswith("3.")
    paths = {"/vectorize", "/v1/embeddings", "/vectorize/images", "/meta", "/metrics", "/openapi.json"}
    assert paths | {"/.well-known/live", "/.well-known/ready"} <= description["paths"].keys()
    assert len(schemas_of(description)) >= 2


def test_bodies_that_fit_the_description_or_nearly(sidecar: Sidecar, description: Json) -> None:
    @fuzzing
    @given(data=st.data())
    def fuzz(data: st.DataObject) -> None:
        path, schema = data.draw(st.sampled_from(schemas_of(description)))
        body = json.dumps(data.draw(from_schema(schema, description))).encode(errors="surrogatepass")
        check(sidecar, description, "POST", path, body, "application/json")

    fuzz()


def test_bodies_and_methods_of_any_kind(sidecar: Sidecar, description: Json) -> None:
    @fuzzing
    @given(
        method=st.sampled_from(METHODS),
        path=st.sampled_from(sorted(description["paths"])),
        body=st.one_of(st.binary(max_size=200), anything.map(lambda value: json.dumps(value).encode())),
        kind=kinds,
    )
    def fuzz(method: str, path: str, body: bytes, kind: str) -> None:
        check(sidecar, description, method, path, body, kind)

    fuzz()


@fuzzing
@given(body=st.binary(max_size=300), head=st.booleans())
def fuzz_forms(sidecar: Sidecar, description: Json, body: bytes, head: bool) -> None:
    start = b'--b\r\nContent-Disposition: form-data; name="i"; filename="a"\r\n' if head else b"--b\r\n"
    check(sidecar, description, "POST", "/vectorize/images", start + body, "multipart/form-data; boundary=b")


def test_forms_of_any_kind(sidecar: Sidecar, description: Json) -> None:
    fuzz_forms(sidecar, description)


def check(sidecar: Sidecar, description: Json, method: str, path: str, body: bytes, kind: str) -> None:
    answer = sidecar.request(method, path, content=body, headers={"Content-Type": kind}, timeout=HANG_SECONDS)
    assert answer.status_code < 500 or (path, answer.status_code) == NO_CAPTIONER, answer.text
    operation = description["paths"][path].get(method.lower())
    assert operation is None or str(answer.status_code) in operation["responses"], (
        f"{answer.status_code}: not described"
    )
    if answer.status_code > 399 and method != "HEAD":
        assert sentence_of(answer)
