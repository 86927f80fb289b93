"""Plain GraphQL and REST, no code of ours between: Weaviate calls the sidecar through its multi2vec-clip module."""

from typing import Any
from uuid import uuid4

import pytest

from tests.stack.conftest import Run
from tests.stack.drawings import DRAWINGS
from tests.stack.images import png, truncated_png
from tests.stack.support import EXAMPLES, Stack, base64_of

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def scratch(run: Run, collection: str) -> str:
    """A collection to write into, made by clip-ingest from a few drawings."""
    run("clip-ingest", EXAMPLES / "flowers", "--collection", collection)
    return collection


def nearest(stack: Stack, collection: str, near: str) -> list[dict[str, Any]]:
    """The best five of the examples, by GraphQL as from any client."""
    return stack.graphql(f"{{ Get {{ {collection}({near}, limit: 5) {{ path _additional {{ distance }} }} }} }}")


def test_near_text_finds_most_drawings_by_their_names(stack: Stack, examples: str) -> None:
    found = []
    for drawing, names in DRAWINGS.items():
        rows = nearest(stack, examples, f'nearText: {{concepts: ["{names[0]}"]}}')
        found += [drawing] * (f"{drawing}.png" in [row["path"] for row in rows])
    assert len(found) >= 12, f"only {found}"  # a guess finds none or one of the 24


def test_near_image_finds_the_image_itself_first(stack: Stack, examples: str) -> None:
    image = base64_of((EXAMPLES / "birds" / "owl.png").read_bytes())
    rows = nearest(stack, examples, f'nearImage: {{image: "{image}"}}')
    assert rows[0]["path"] == "birds/owl.png"
    assert rows[0]["_additional"]["distance"] < 0.01


def test_near_text_orders_as_the_search_command_does(stack: Stack, run: Run, examples: str) -> None:
    rows = nearest(stack, examples, 'nearText: {concepts: ["owl"]}')
    hits = run("clip-search", "owl", "--limit", "5", "--json", "--collection", examples).rows
    assert [row["path"] for row in rows] == [hit["path"] for hit in hits]


def test_a_poisoned_image_fails_alone_in_one_batch(stack: Stack, scratch: str) -> None:
    images = [png(), truncated_png(), png((0, 90, 0)), png((0, 0, 90))]
    ids = [str(uuid4()) for _ in images]
    objects = [
        {"class": scratch, "id": key, "properties": {"path": key, "image": base64_of(image)}}
        for key, image in zip(ids, images, strict=True)
    ]
    results = [row["result"] for row in stack.weaviate("POST", "/v1/batch/objects", {"objects": objects}).json()]
    assert [result["status"] for result in results] == ["SUCCESS", "FAILED", "SUCCESS", "SUCCESS"]
    assert "images[0]" in str(results[1]["errors"])
    kept = [stack.weaviate("GET", f"/v1/objects/{scratch}/{key}").status_code for key in ids]
    assert kept == [200, 404, 200, 200]


def test_the_same_image_in_two_objects_has_one_vector(stack: Stack, scratch: str) -> None:
    image = base64_of(png((90, 20, 160)))
    vectors = []
    for key in (str(uuid4()), str(uuid4())):
        body = {"class": scratch, "id": key, "properties": {"path": key, "image": image}}
        stack.weaviate("POST", "/v1/objects", body).raise_for_status()
        vectors.append(stack.weaviate("GET", f"/v1/objects/{scratch}/{key}?include=vector").json()["vectors"]["clip"])
    assert vectors[0] == vectors[1]
