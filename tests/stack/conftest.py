"""Fixtures of the stack tests: fresh collections, and Python's way to the examples."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from clip_vectorizer.query import ImageSearch
from tests.stack.storing import Place
from tests.stack.support import Run as Run
from tests.stack.support import Stack
from tests.stack.support import fresh_collection as fresh_collection

New = Callable[..., Place]


@pytest.fixture(scope="module")
def collection(stack: Stack) -> Iterator[str]:
    """The name of a collection that no other module uses; dropped afterwards."""
    yield from fresh_collection(stack)


@pytest.fixture
def new(stack: Stack) -> Iterator[New]:
    """Collections that a test fills by Python, as it wants them; dropped afterwards."""
    names: list[str] = []

    def new(**wanted: Any) -> Place:
        names.append(f"Test{uuid4().hex[:12]}")
        return Place(stack, names[-1], **wanted)

    yield new
    for name in names:
        stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


@pytest.fixture
def search(stack: Stack, examples: str) -> Iterator[ImageSearch]:
    """Python's way to the examples."""
    with ImageSearch.connect(
        weaviate_url=stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=examples,
    ) as connected:
        yield connected
