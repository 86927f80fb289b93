"""Services are restarted, killed and cut off during an ingest: it waits, ends with 0, and nothing is lost."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers.disturbed import (
    COLLECTION,
    MANY,
    IngestRun,
    assert_all_in,
    crash,
    cut_off,
    near_text,
    running_over,
    slowed,
    wait_until_healthy,
)
from tests.containers.engine import Compose
from tests.stack.faults.pictures import album
from tests.stack.processes import eventually

pytestmark = pytest.mark.containers

SERVICES = ("vectorizer", "weaviate")
UNCACHED = """
services:
  vectorizer:
    environment:
      CLIP_CACHE_BYTES: "0"  # each ingest waits for the model
"""
CUT_SECONDS = 20.0
WEAVIATE_WAITS_SECONDS = 50.0  # for a response of its sidecar, unless MODULES_CLIENT_TIMEOUT is set


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return album(MANY)


@pytest.fixture(scope="module")
def compose(
    images: tuple[str, str], files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compose]:
    with running_over(tmp_path_factory.mktemp("faults"), UNCACHED, files) as compose:
        yield compose


@pytest.fixture
def run(compose: Compose, tmp_path: Path) -> Iterator[IngestRun]:
    """An ingest into a collection that does not exist yet."""
    compose.stack().weaviate("DELETE", f"/v1/schema/{COLLECTION}").raise_for_status()
    run = IngestRun(compose, tmp_path)
    try:
        yield run
    finally:
        run.end()
        compose("up", "--detach", "--wait")


@contextmanager
def half_done(run: IngestRun) -> Iterator[None]:
    """In it the ingest is slow, and in the middle."""
    with slowed(run.compose, "vectorizer"):
        run.start().until_stored(MANY // 4)
        yield
        assert run.process.poll() is None, f"over before the fault came:\n{run.talk}"


def restart(compose: Compose, service: str) -> None:
    compose("restart", service)


def crash_and_come_back(compose: Compose, service: str) -> None:
    """`restart: unless-stopped` starts it again."""
    before = compose.container(service)["RestartCount"]
    crash(compose, service)
    assert eventually(lambda: compose.container(service)["RestartCount"] > before)


def kill_by_hand(compose: Compose, service: str) -> None:
    """`docker kill` is a stop by hand: the service stays down until it is started again."""
    compose("kill", service)
    time.sleep(5)
    state = compose.container(service)["State"]
    assert (state["Running"], state["ExitCode"]) == (False, 137)
    compose("start", service)


FAULTS: dict[str, Callable[[Compose, str], None]] = {
    "restarted": restart,
    "crashed": crash_and_come_back,
    "killed by hand": kill_by_hand,
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_ingest_outlives_a_service_that_goes_away(
    compose: Compose, run: IngestRun, files: dict[str, bytes], service: str, fault: str
) -> None:
    with half_done(run):
        FAULTS[fault](compose, service)
    assert_all_in(compose, files, run.done(0))
    wait_until_healthy(compose, service)
    assert near_text(compose.stack(), f"{service} {fault}")[0]


def test_an_ingest_outlives_a_cut_between_weaviate_and_the_sidecar(
    compose: Compose, run: IngestRun, files: dict[str, bytes]
) -> None:
    with half_done(run), cut_off(compose, "vectorizer"):
        time.sleep(CUT_SECONDS)
    assert_all_in(compose, files, run.done(0))


def test_searches_during_a_cut_end_with_a_sentence_and_work_after_it(compose: Compose, run: IngestRun) -> None:
    run.start().done(0)
    stack = compose.stack()
    assert near_text(stack, "before the cut")[0]
    with cut_off(compose, "vectorizer"):
        refused = compose.run("search", "a red apple", options=("--no-deps",), expect=4).stderr
        assert "error: no sidecar answers at http://vectorizer:8080" in refused, refused
        start = time.monotonic()
        paths, error = near_text(stack, "during the cut", seconds=WEAVIATE_WAITS_SECONDS + 10)
        assert not paths and "vectorizer:8080" in error, error
        assert time.monotonic() - start < WEAVIATE_WAITS_SECONDS + 5
    assert len(near_text(stack, "after the cut")[0]) == 3
    assert compose.run("search", "a red apple", "--json").rows
