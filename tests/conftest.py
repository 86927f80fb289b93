"""Serves the real stack to the tests marked `stack`: by Docker where an engine answers, else by the binary.

CLIP_TEST_STACK=auto|docker|binary decides; `auto` is the default. A stack that cannot start fails its tests.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.stack.support import EXAMPLES, REPOSITORY, Ran, Run, Stack, fresh_collection, run_command

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what it runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the commands under test must receive it

COMPOSE = REPOSITORY / "docker" / "compose.yaml"
# Port 0 is a free one, so that another stack may run on this machine at the same time.
COMPOSE_SETTINGS = {
    "CLIP_MODEL": "emoji",
    "VECTORIZER_PORT": "0",
    "WEAVIATE_PORT": "0",
    "WEAVIATE_GRPC_PORT": "0",
}
PULL_SECONDS = 300  # Weaviate's image is some 150 MB


def pytest_report_header() -> str:
    way, reason = chosen_way()
    return f"stack tests: {way} ({reason}); CLIP_TEST_STACK=auto|docker|binary"


@cache
def chosen_way() -> tuple[str, str]:
    """`docker` or `binary`, and why."""
    wanted = os.environ.get("CLIP_TEST_STACK", "auto")
    if wanted in ("docker", "binary"):
        return wanted, "from CLIP_TEST_STACK"
    if wanted != "auto":
        raise pytest.UsageError(f"CLIP_TEST_STACK={wanted!r}: expected auto, docker or binary")
    if shutil.which("docker") is None or not succeeds("docker", "info", seconds=15):
        return "binary", "no Docker engine answers"
    if not succeeds("docker", "compose", "-f", str(COMPOSE), "pull", "--policy", "missing", "--ignore-buildable"):
        return "binary", "a Docker engine answers, but the images of docker/compose.yaml cannot be had"
    return "docker", "a Docker engine answers"


def succeeds(*command: str, seconds: float = PULL_SECONDS) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One Weaviate and one sidecar with the emoji model, for the whole run."""
    if chosen_way()[0] == "docker":
        with pytest.MonkeyPatch.context() as environment:
            for name, value in COMPOSE_SETTINGS.items():
                environment.setenv(name, value)
            yield stack_of_containers(request)
    else:
        yield from stack_of_processes(tmp_path_factory.mktemp("stack"))


@pytest.fixture(scope="session")
def run(stack: Stack) -> Run:
    """Runs a command against the stack; `env` adds to its environment, `expect` holds its exit code."""

    def run(*command: str | Path, env: dict[str, str] | None = None, expect: int | None = 0) -> Ran:
        return run_command(*command, env=stack.env | (env or {}), expect=expect)

    return run


@pytest.fixture(scope="session")
def examples(stack: Stack, run: Run) -> Iterator[str]:
    """The collection that holds examples/images, ingested once."""
    for name in fresh_collection(stack):
        run("clip-ingest", EXAMPLES, "--collection", name)
        yield name


def stack_of_processes(data_dir: Path) -> Iterator[Stack]:
    from ingest.embedded import LocalStack

    with LocalStack("emoji", data_dir) as local:
        weaviate = local.weaviate
        yield Stack(weaviate.url, weaviate.grpc_port, weaviate.api_key, local.sidecar.url)


def stack_of_containers(request: pytest.FixtureRequest) -> Stack:
    services = request.getfixturevalue("docker_services")
    weaviate, grpc = services.port_for("weaviate", 8080), services.port_for("weaviate", 50051)
    sidecar = services.port_for("vectorizer", 8080)
    return Stack(f"http://127.0.0.1:{weaviate}", grpc, None, f"http://127.0.0.1:{sidecar}")


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    """Where pytest-docker finds the stack."""
    return str(COMPOSE)
