"""Processes that several tests share; those that do not survive their test are started by it."""

from collections.abc import Iterator

import pytest

from tests.faults.processes import Sidecar, emoji, faulty


@pytest.fixture(scope="session")
def shared() -> Iterator[Sidecar]:
    with faulty() as sidecar:
        yield sidecar


@pytest.fixture
def sidecar(shared: Sidecar) -> Iterator[Sidecar]:
    """A faulty sidecar that must still serve when the test is over."""
    yield shared
    assert shared.serves(), shared.stderr()


@pytest.fixture(scope="session")
def real() -> Iterator[Sidecar]:
    """The real command with the emoji model."""
    with emoji() as sidecar:
        yield sidecar
