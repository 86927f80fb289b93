"""Serves the real stack to the tests marked `stack`: by Docker where an engine answers, else by the binary.

CLIP_TEST_STACK=auto|docker|binary decides; `auto` is the default. A stack that cannot start fails its tests.
"""

import os
import shutil
import signal
import subprocess
from collections import Counter
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
HERE = Path(__file__).parent
LONGEST = (  # files that take more than half a minute
    "stack/test_pages.py",
    "stack/test_notebooks.py",
    "stack/test_limits.py",
    "stack/test_eval.py",
    "stack/test_ray.py",
    "images/test_browser.py",
    "stack/faults/test_gallery.py",
)
PULL_SECONDS = 300  # Weaviate's image is some 150 MB


def pytest_configure(config: pytest.Config) -> None:
    """With several workers, each has its share of the cores: threads of BLAS and torch that wait for a core which
    another worker uses spin meanwhile, and on two cores both workers then need several times as long.
    """
    if workers := getattr(config.option, "numprocesses", None):  # not started yet; they inherit the environment
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers, begin with the files that take longest: by its own order, xdist begins with those that have
    most tests, and at the end one worker waits for the other's notebooks.
    """
    if hasattr(config, "workerinput"):
        tests = Counter(item.path for item in items)
        items.sort(key=lambda item: (rank_file(item.path), -tests[item.path], item.path))


def rank_file(path: Path) -> int:
    """The place of a file in LONGEST, then those with a real stack, then all others."""
    name = path.relative_to(HERE).as_posix()
    if name in LONGEST:
        return LONGEST.index(name)
    return len(LONGEST) + (not name.startswith(("stack/", "gallery/")))


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
    """Runs a command against the stack; `env` adds to its environment, `expect` holds its exit code.

    In this process where it can, as a start takes seconds; how commands start is for tests/stack/test_help.py,
    test_readme.py and test_recipes.py, and of `examples` below.
    """
    from tests.stack.acceptance.in_process import COMMANDS, ran

    def run(command: str, *words: str | Path, env: dict[str, str] | None = None, expect: int | None = 0) -> Ran:
        environment = stack.env | (env or {})
        if command in COMMANDS:
            return ran(environment, command, *words, expect=expect)
        return run_command(command, *words, env=environment, expect=expect)

    return run


@pytest.fixture(scope="session")
def examples(stack: Stack) -> Iterator[str]:
    """The collection that holds examples/images, ingested once."""
    for name in fresh_collection(stack):
        run_command("clip-ingest", EXAMPLES, "--collection", name, env=stack.env, expect=0)
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
