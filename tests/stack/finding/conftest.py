"""The examples, connected once, and all that is held there."""

from collections.abc import Iterator

import numpy as np
import pytest
from weaviate import WeaviateClient

from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.query import (
    ImageSearch,
)
from tests.stack.finding.held import Held, connect
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
def held(found: ImageSearch) -> Held:
    images = list(found.everything(vectors=True, properties=["size", "sha256"]))
    return Held(images, np.stack([each.vector for each in images if each.vector is not None]))
