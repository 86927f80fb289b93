"""clip-ingest is killed, interrupted, split and killed: run again, the database holds every image once."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack.faults.conftest import MANY, NewJob
from tests.stack.faults.database import assert_exact, exists, found_by_vector, held
from tests.stack.faults.jobs import LOOK_SECONDS, WAYS, Job, buckets, lines_of, summary
from tests.stack.faults.middle import start_all
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

PACE_SECONDS = 0.005  # an image: a run of 160 takes a second or two, and can be hit anywhere
Both = Callable[..., list[Job]]


def kill_all(jobs: list[Job], moments: list[int]) -> None:
    """Each at its own moment: when the database has so many of its objects."""
    waiting = list(zip(jobs, moments, strict=True))
    for each, _ in waiting:
        each.start()
    while waiting:
        for each, moment in list(waiting):
            assert each.process.poll() is None, f"over before it was killed:\n{each.talk}"
            if exists(each.world.truth, each.collection) and each.stored >= moment:
                each.kill()
                waiting.remove((each, moment))
        time.sleep(LOOK_SECONDS)


MOMENTS: dict[str, Callable[[random.Random], list[int]]] = {
    "as soon as there is a collection": lambda pick: [0],
    "near the end": lambda pick: [MANY * 3 // 4],
    "three times in a row": lambda pick: sorted(pick.randrange(1, MANY * 3 // 4) for _ in range(3)),
}


@pytest.mark.parametrize("when", MOMENTS)
def test_killed_at_any_moment_and_run_again_every_image_is_there_once(
    world: World, both: Both, folder: Path, many: dict[str, bytes], when: str
) -> None:
    jobs = both(folder)
    world.proxy.pace_seconds = PACE_SECONDS
    pick = random.Random(39)
    rounds = zip(*(MOMENTS[when](pick) for _ in jobs), strict=True)
    for moments in rounds:
        kill_all(jobs, list(moments))
    before = [len(found_by_vector(world.truth, each.collection)) for each in jobs]
    world.proxy.pace_seconds = 0
    for each, there in zip([each.start() for each in jobs], before, strict=True):
        found = buckets(each.done())
        assert sum(found.values()) == MANY and found["failed"] == 0
        # Weaviate stores the objects of a batch whose sender is gone, and leaves them out of its vector index.
        assert found["added"] <= MANY - there, "what was there, and could be found, is not added again"
        assert_exact(world, each.collection, many)


def test_an_interrupt_ends_it_soon_with_a_summary_and_the_next_run_goes_on(
    world: World, both: Both, folder: Path, many: dict[str, bytes]
) -> None:
    jobs = both(folder)
    start_all(world, jobs, MANY // 2)
    for each in jobs:
        each.interrupt()
    world.proxy.release()
    summaries = [summary(each.done(130, seconds=5)) for each in jobs]
    assert all(found["error"] for found in summaries)
    world.proxy.behave()
    for each, found in zip([each.start() for each in jobs], summaries, strict=True):
        assert buckets(each.done())["unchanged"] >= found["added"], "what was reported as stored was sent again"
        assert_exact(world, each.collection, many)


@pytest.mark.parametrize("way", WAYS)
def test_three_shards_at_once_one_of_them_killed_and_repeated_hold_everything_once(
    world: World, job: NewJob, folder: Path, many: dict[str, bytes], tmp_path: Path, way: str
) -> None:
    world.proxy.pace_seconds = PACE_SECONDS * 2
    reports = [tmp_path / f"{number}.jsonl" for number in (1, 2, 3)]
    first = job(way, folder, "--shard", "1/3", "--report", reports[0])
    others = [
        job(way, folder, "--shard", f"{number}/3", "--report", reports[number - 1], collection=first.collection)
        for number in (2, 3)
    ]
    shards = [first, *others]
    for shard in shards:
        shard.start()
    shards[1].until_stored(MANY // 4).kill()
    shards[1].start()
    seen = [summary(shard.done())["seen"] for shard in shards]
    parts = [set(lines_of(report)) for report in reports]
    assert sum(seen) == MANY and all(part for part in parts), seen
    assert set.union(*parts) == many.keys() and sum(map(len, parts)) == MANY, "the shards overlap"
    assert_exact(world, first.collection, many)
    assert len(held(world.truth, first.collection)) == MANY
