"""The images, built once for the run. The tests are marked `containers`; without an engine they fail."""

import os
from pathlib import Path

import pytest

from tests.containers.engine import BUILD_SECONDS, CLIENT, PROMETHEUS, SIDECAR, Compose, docker


@pytest.fixture(scope="session")
def images() -> tuple[str, str]:
    """The sidecar's image and the commands', built from this work tree."""
    Compose()("--profile", "*", "build", "vectorizer", "ingest", seconds=BUILD_SECONDS)
    return SIDECAR, CLIENT


@pytest.fixture(scope="session")
def prometheus_image() -> str:
    """Debian's Prometheus in the layout of the official image, or what PROMETHEUS_IMAGE names."""
    if "PROMETHEUS_IMAGE" not in os.environ:
        folder = Path(__file__).with_name("prometheus")
        docker("build", "--quiet", "--tag", PROMETHEUS, folder, seconds=BUILD_SECONDS)
    return PROMETHEUS
