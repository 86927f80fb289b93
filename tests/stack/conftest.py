"""Fixtures of the stack tests: commands bound to the stack, fresh collections, the examples ingested once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from clip_vectorizer.query import ImageSearch
from tests.stack.storing import Place
from tests.stack.support import EXAMPLES, Ran, Stack, run_command

Run = Callable[..., Ran]
New = Callable[..., Place]


@pytest.fixture(scope="session")
def run(stack: Stack) -> Run:
    """Runs a command against the stack; `env` adds to its environment, `expect` holds its exit code."""

    def run(*command: str | Path, env: dict[str, str] | None = None, expect: int | None = 0) -> Ran:
        return run_command(*command, env=stack.env | (env or {}), expect=expect)

    return run


@pytest.fixture(scope="module")
def collection(stack: Stack) -> Iterator[str]:
    """The name of a collection that no other module uses; dropped afterwards."""
    yield from fresh_collection(stack)


@pytest.fixture(scope="session")
def examples(stack: Stack, run: Run) -> Iterator[str]:
    """The collection that holds examples/images, ingested once."""
    for name in fresh_collection(stack):
        run("clip-ingest", EXAMPLES, "--collection", name)
        yield name


def fresh_collection(stack: Stack) -> Iterator[str]:
    name = f"Test{uuid4().hex[:12]}"
    yield name
    stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


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
