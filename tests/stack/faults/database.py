"""What a database really holds, read by REST and GraphQL only: nothing here runs code of the ingest."""

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.stack.faults.servers import World
from tests.stack.support import Stack, base64_of

PAGE = 100
NIL = "00000000-0000-0000-0000-000000000000"
SAME = 1e-6  # each number of two unit vectors that should be equal
Row = dict[str, Any]
Vector = npt.NDArray[np.float64]


def exists(stack: Stack, collection: str) -> bool:
    return stack.weaviate("GET", f"/v1/schema/{collection}").status_code == 200


def rows(stack: Stack, collection: str, tenant: str | None = None) -> list[Row]:
    """Every object, by a cursor through all; none when there is no such collection."""
    if not exists(stack, collection):
        return []
    found: list[Row] = []
    while True:
        after = found[-1]["id"] if found else NIL
        query = f"/v1/objects?class={collection}&limit={PAGE}&after={after}&include=vector"
        answer = stack.weaviate("GET", query + (f"&tenant={tenant}" if tenant else ""))
        assert answer.status_code == 200, answer.text
        page = answer.json()["objects"]
        found += page
        if len(page) < PAGE:
            return found


def held(stack: Stack, collection: str, tenant: str | None = None) -> dict[str, Row]:
    """Every object by its path; two of one path, or one id twice, is an error."""
    all_rows = rows(stack, collection, tenant)
    by_path = {row["properties"]["path"]: row for row in all_rows}
    assert len(by_path) == len({row["id"] for row in all_rows}) == len(all_rows), "an image is there twice"
    return by_path


def count(stack: Stack, collection: str, tenant: str | None = None) -> int:
    """As the database counts; none when there is no such collection or tenant."""
    named = f'{collection}(tenant: "{tenant}")' if tenant else collection
    answer = stack.weaviate("POST", "/v1/graphql", {"query": f"{{ Aggregate {{ {named} {{ meta {{ count }} }} }} }}"})
    found = (answer.json().get("data") or {}).get("Aggregate", {}).get(collection)
    return int(found[0]["meta"]["count"]) if found else 0


def assert_exact(world: World, collection: str, files: Mapping[str, bytes], tenant: str | None = None) -> None:
    assert_holds(world.truth, collection, files, tenant)


def assert_holds(stack: Stack, collection: str, files: Mapping[str, bytes], tenant: str | None = None) -> None:
    """The database holds these images and no others, each with its own id and vector, and finds every one."""
    objects = held(stack, collection, tenant)
    assert objects.keys() == files.keys(), format_difference(objects.keys(), files.keys())
    assert count(stack, collection, tenant) == len(files)
    assert {path: row["id"] for path, row in objects.items()} == {path: id_of(path) for path in files}
    right = vectors_of(stack, list(files.values()))
    for path, content in files.items():
        assert_same(vector(objects[path]), right[digest(content)], path)
    if files:
        assert_found(stack, collection, objects, tenant)


def format_difference(there: Any, wanted: Any) -> str:
    missing, extra = sorted(wanted - there), sorted(there - wanted)
    return f"{len(missing)} missing {missing[:5]}, {len(extra)} too many {extra[:5]}"


def id_of(path: str) -> str:
    """As weaviate-client's generate_uuid5(path, "Image") makes it."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"Image{path}"))


def vector(row: Row, name: str = "clip") -> Vector:
    assert row["vectors"].get(name), f"{row['properties']['path']} has no vector"
    return np.array(row["vectors"][name])


def assert_same(one: Vector, other: Vector, what: str) -> None:
    assert one.shape == other.shape, f"{what}: {one.shape} and {other.shape}"
    apart = float(np.abs(one - other).max())
    assert apart <= SAME, f"{what}: the vectors differ by {apart:.2e}"


def assert_found(stack: Stack, collection: str, objects: Mapping[str, Row], tenant: str | None = None) -> None:
    """By both indexes, not only by id: objects that an index has lost are there, and no search finds them."""
    like = 'where: {path: ["path"], operator: Like, valueText: "*"}'
    by_path = paths(stack, collection, like, len(objects), tenant)
    assert by_path == objects.keys(), f"{collection} by path: {format_difference(by_path, objects.keys())}"
    by_vector = found_by_vector(stack, collection, tenant)
    assert by_vector == objects.keys(), f"{collection} by vector: {format_difference(by_vector, objects.keys())}"


def found_by_vector(stack: Stack, collection: str, tenant: str | None = None) -> set[str]:
    """What the vector index has. A search among given ids compares with all of them: no recall to allow for."""
    all_rows = rows(stack, collection, tenant)
    if not all_rows:
        return set()
    near = f'nearVector: {{vector: {json.dumps(vector(all_rows[0]).tolist())}, targetVectors: ["clip"]}}'
    ids = json.dumps([row["id"] for row in all_rows])
    among = f'where: {{path: ["id"], operator: ContainsAny, valueText: {ids}}}'
    return paths(stack, collection, f"{near}, {among}", len(all_rows), tenant)


def paths(stack: Stack, collection: str, search: str, count: int, tenant: str | None) -> set[str]:
    owner = f', tenant: "{tenant}"' if tenant else ""
    query = f"{{ Get {{ {collection}({search}, limit: {count + 50}{owner}) {{ path }} }} }}"
    return {str(row["path"]) for row in stack.graphql(query)}


def vectors_of(stack: Stack, contents: list[bytes]) -> dict[str, Vector]:
    """What a run without faults would store, by the content's digest: the sidecar is called directly, once for each."""
    missing = [content for content in dict.fromkeys(contents) if digest(content) not in REMEMBERED]
    for start in range(0, len(missing), 32):
        batch = missing[start : start + 32]
        answer = stack.vectorize(images=[base64_of(content) for content in batch])
        assert answer.status_code == 200, answer.text
        REMEMBERED.update(zip(map(digest, batch), map(np.array, answer.json()["imageVectors"]), strict=True))
    return {digest(content): REMEMBERED[digest(content)] for content in contents}


REMEMBERED: dict[str, Vector] = {}  # of the emoji model


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob(row: Row, name: str) -> bytes:
    return base64.b64decode(row["properties"].get(name) or "")
