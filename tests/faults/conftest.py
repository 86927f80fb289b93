"""Processes that several tests share; those that do not survive their test are started by it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.processes import Sidecar, emoji, faulty


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.alone)


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
