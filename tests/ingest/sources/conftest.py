import uuid
from collections.abc import Iterator

import fsspec
import pytest

from ingest.retry import RetryPolicy
from ingest.sources.transport import Transport
from tests.http_server import LOOPBACK
from tests.ingest.sources.web_server import Site, serving


@pytest.fixture(scope="session")
def server() -> Iterator[Site]:
    with serving() as site:
        yield site


@pytest.fixture
def site(server: Site) -> Site:
    """Empty, and the same server for all tests."""
    server.pages.clear()
    server.requests.clear()
    server.seen_headers.clear()
    return server


@pytest.fixture
def waits() -> list[float]:
    """The seconds that would have been slept."""
    return []


@pytest.fixture
def far(waits: list[float]) -> Iterator[Transport]:
    far = Transport({}, RetryPolicy(sleep=waits.append), LOOPBACK)
    yield far
    far.close()


@pytest.fixture
def bucket() -> str:
    """The address of an empty folder in memory."""
    folder = f"memory://{uuid.uuid4().hex}"
    fsspec.filesystem("memory").mkdirs(folder)
    return folder
