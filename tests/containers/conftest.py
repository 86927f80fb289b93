"""The images, built once for the run. The tests are marked `containers`; without an engine they fail."""

import pytest

from tests.containers.engine import BUILD_SECONDS, CLIENT, SIDECAR, Compose


@pytest.fixture(scope="session")
def images() -> tuple[str, str]:
    """The sidecar's image and the commands', built from this work tree."""
    Compose()("--profile", "*", "build", "vectorizer", "ingest", seconds=BUILD_SECONDS)
    return SIDECAR, CLIENT
