"""The collection of examples, connected once, and its content."""

from collections.abc import Iterator

import numpy as np
import pytest
from weaviate import WeaviateClient

from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.query import (
    ImageSearch,
)
from tests.stack.search.stored import StoredExamples, connect
from tests.stack.support import Stack


@pytest.fixture(scope="session")
def found(stack: Stack, examples: str) -> Iterator[ImageSearch]:
    with connect(stack, examples) as search:
        yield search


@pytest.fixture(scope="session")
def client(stack: Stack) -> Iterator[WeaviateClient]:
    with connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as connected:
        yield connected


@pytest.fixture(scope="session")
def stored(found: ImageSearch) -> StoredExamples:
    images = list(found.iterate(include_vector=True, return_properties=["size", "sha256"]))
    return StoredExamples(images, np.stack([each.vector for each in images if each.vector is not None]))
