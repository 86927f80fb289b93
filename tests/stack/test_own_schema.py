"""What Weaviate answers where a schema is the user's own, as docs/deploy.md explains it."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.documents import page
from tests.stack.support import EXAMPLES, Stack, base64_of

pytestmark = pytest.mark.stack

EXPLAINED = page("docs/deploy.md").section("When something is wrong").text.partition("\n### From Weaviate")[2]
CAT = base64_of((EXAMPLES / "animals" / "cat.png").read_bytes())
TEXT_FILE = base64_of(b"hello world")


@pytest.fixture(scope="module")
def own(stack: Stack) -> Iterator[str]:
    """A collection without our marks, made as Weaviate's documentation does, with one object."""
    name = f"Own{uuid4().hex[:8]}"
    properties = [{"name": "image", "dataType": ["blob"]}, {"name": "title", "dataType": ["text"]}]
    vector = {"vectorizer": {"multi2vec-clip": {"imageFields": ["image"]}}, "vectorIndexType": "hnsw"}
    schema = {"class": name, "properties": properties, "vectorConfig": {"clip": vector}}
    stack.weaviate("POST", "/v1/schema", schema).raise_for_status()
    stack.weaviate("POST", "/v1/objects", {"class": name, "properties": {"image": CAT}}).raise_for_status()
    yield name
    stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"properties": {"image": f"data:image/png;base64,{CAT}"}}, "not a valid blob base64 string"),
        ({"properties": {"image": TEXT_FILE}}, "fail with status 422: images[0]: "),
        ({"properties": {"title": "no image"}}, "new node has a vector with length 0"),
        (
            {"properties": {"title": "given"}, "vectors": {"clip": [1.0, 0.0, 0.0]}},
            "vector dimensions do not match the index dimensions",
        ),
    ],
)
def test_the_page_explains_what_weaviate_answers(stack: Stack, own: str, body: dict[str, object], message: str) -> None:
    refused = stack.weaviate("POST", "/v1/objects", {"class": own, **body})
    assert refused.status_code in (422, 500) and message in refused.json()["error"][0]["message"]
    assert message in EXPLAINED


def test_one_bad_image_of_a_batch_leaves_the_others(stack: Stack, own: str) -> None:
    images = [CAT, TEXT_FILE, CAT]
    objects = [{"class": own, "properties": {"image": image}} for image in images]
    stored = stack.weaviate("POST", "/v1/batch/objects", {"objects": objects}).json()
    assert [item["result"].get("errors") is None for item in stored] == [True, False, True]
