"""Weaviate or the sidecar goes away and comes back in the middle of a run: it waits, goes on, and loses nothing."""

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack.faults.conftest import MANY
from tests.stack.faults.database import assert_exact, held
from tests.stack.faults.jobs import Job, buckets, summary, whole_sentence
from tests.stack.faults.middle import start_all
from tests.stack.faults.relay import BUSY, DROP, PASS
from tests.stack.faults.servers import MODULE_SECONDS, World

pytestmark = pytest.mark.stack

WAITS = re.compile(r"waiting.*Weaviate")
Both = Callable[..., list[Job]]


def assert_all_in(world: World, jobs: list[Job], many: dict[str, bytes]) -> None:
    """Ended well by themselves, and the database is right."""
    for each in jobs:
        found = buckets(each.done(0))
        assert sum(found.values()) == MANY and found["failed"] == 0
        assert_exact(world, each.collection, many)


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_weaviate_that_is_restarted_in_mid_run_is_waited_for(
    world: World, both: Both, folder: Path, many: dict[str, bytes], word: signal.Signals
) -> None:
    jobs = both(folder)
    start_all(world, jobs, MANY // 2)
    world.proxy.release()
    world.weaviate.end(word)
    world.proxy.behave()
    world.weaviate.start()
    assert_all_in(world, jobs, many)
    assert any(WAITS.search(each.talk) for each in jobs), "no job printed what it waited for"


def test_objects_lost_by_a_killed_database_come_back_with_the_next_run(
    world: World, both: Both, folder: Path, many: dict[str, bytes]
) -> None:
    """Weaviate keeps the last writes to its vector index in memory, however long ago they were."""
    jobs = [each.start() for each in both(folder)]
    assert_all_in(world, jobs, many)
    world.weaviate.end(signal.SIGKILL)
    world.weaviate.start()
    assert_all_in(world, [each.start() for each in jobs], many)


def kill_sidecar(world: World) -> None:
    world.sidecar.kill()
    time.sleep(0.5)
    world.restart_sidecar()


def close_port(world: World) -> None:
    world.proxy.close()
    time.sleep(2)
    world.proxy.open()


def refuse_work(world: World) -> None:
    world.proxy.busy_for(2)


def answer_badly(world: World) -> None:
    """Torn and slow answers, refusals, and one that takes longer than Weaviate waits for."""
    world.proxy.play([DROP, PASS, BUSY, 0.5, float(MODULE_SECONDS + 1), PASS, *[DROP, PASS, PASS] * 10])


FAULTS = {
    "is killed and started again": kill_sidecar,
    "closes its port for a while": close_port,
    "has too much to do for a while": refuse_work,
    "answers slowly and in parts": answer_badly,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_sidecar_in_trouble_is_waited_for(
    world: World, both: Both, folder: Path, many: dict[str, bytes], fault: str
) -> None:
    jobs = both(folder)
    start_all(world, jobs, MANY // 2)
    before = world.proxy.images
    world.proxy.release()
    FAULTS[fault](world)
    world.proxy.pace_seconds = 0
    assert_all_in(world, jobs, many)
    assert world.proxy.images > before, "all was over before the fault came"


@pytest.mark.parametrize("when", ["from the start", "in mid-run"])
def test_a_sidecar_gone_for_good_ends_the_run_with_one_sentence_and_the_next_one_completes(
    world: World, both: Both, folder: Path, many: dict[str, bytes], when: str
) -> None:
    jobs = both(folder, "--patience", "2")
    if when == "in mid-run":
        start_all(world, jobs, MANY // 2)
        world.proxy.close()
        world.proxy.release()
    else:
        world.proxy.close()
        for each in jobs:
            each.start()
    for each in jobs:
        assert_gave_up(world, each, many)
    world.proxy.behave()
    for each in jobs:
        each.start()
    assert_all_in(world, jobs, many)


def assert_gave_up(world: World, job: Job, many: dict[str, bytes]) -> None:
    ran = job.done(4)
    found = summary(ran)
    assert whole_sentence(found["error"]), found
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [f"error: {found['error']}"], ran.stderr
    there = held(world.truth, job.collection).keys()
    assert there <= many.keys() and found["added"] <= len(there) < MANY
