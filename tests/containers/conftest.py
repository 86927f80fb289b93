"""The images, built once for the run. Every test here is marked `containers`; without an engine they fail."""

from pathlib import Path

import pytest

from tests.containers.engine import BUILD_SECONDS, CLIENT, SIDECAR, Compose

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def images() -> tuple[str, str]:
    """The sidecar's image and the commands', built from this work tree."""
    Compose()("--profile", "*", "build", "vectorizer", "ingest", seconds=BUILD_SECONDS)
    return SIDECAR, CLIENT
