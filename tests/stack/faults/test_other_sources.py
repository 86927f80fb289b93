"""Several sources in one collection: none removes or overwrites what came from another."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack.faults.conftest import NewJob
from tests.stack.faults.database import assert_exact, held, vector
from tests.stack.faults.jobs import Job, buckets, summary, together
from tests.stack.faults.pictures import album, drawing, write
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

FEW = 40
Both = Callable[..., list[Job]]


def test_pruning_spares_other_sources_and_refuses_to_remove_most(world: World, job: NewJob, tmp_path: Path) -> None:
    files = album(FEW, seed=7)
    others = {f"other/{key}": content for key, content in album(10, seed=8).items()}
    folder = write(tmp_path / "pictures", files)
    other = write(tmp_path / "others", others)
    mine = job("client", folder)
    theirs = job("module", other, collection=mine.collection)
    together([mine, theirs])
    kept = dict(list(files.items())[:5])
    for key in files.keys() - kept.keys():
        (folder / key).unlink()

    refused = mine.start("--prune").done(expect=None)
    assert refused.exit_code not in (0, 130)
    assert "--prune-limit" in refused.stderr
    assert_exact(world, mine.collection, files | others)
    allowed = mine.start("--prune", "--prune-limit", "100%").done()
    assert summary(allowed)["pruned"] == FEW - len(kept)
    assert_exact(world, mine.collection, kept | others)
    assert summary(theirs.start("--prune").done())["pruned"] == 0
    assert_exact(world, mine.collection, kept | others)


def test_the_same_path_from_another_source_is_refused_with_a_way_out(
    world: World, both: Both, job: NewJob, tmp_path: Path
) -> None:
    first = {"a.png": drawing(1), "same.png": drawing(2)}
    second = {"a.png": drawing(3), "same.png": drawing(2), "new.png": drawing(4)}
    one, two = write(tmp_path / "one", first), write(tmp_path / "two", second)
    jobs = both(one)
    together(jobs)
    for each in jobs:
        ran = job(each.way, two, collection=each.collection).start().done(3)
        found = summary(ran)
        assert [failure["path"] for failure in found["failures"]] == ["a.png"]
        assert "--prefix" in found["failures"][0]["reason"] and str(one) in found["failures"][0]["reason"]
        assert_exact(world, each.collection, first | {"new.png": second["new.png"]})

    again = [job(each.way, two, "--prefix", "two/", collection=each.collection) for each in jobs[1:]]
    for each, ran in zip(again, together(again), strict=True):
        assert buckets(ran)["failed"] == 0
        prefixed = {f"two/{key}": content for key, content in second.items()}
        assert_exact(world, each.collection, first | {"new.png": second["new.png"]} | prefixed)

    taken = [job(each.way, two, "--take-over", collection=each.collection) for each in jobs[1:]]
    for each, ran in zip(taken, together(taken), strict=True):
        assert buckets(ran)["updated"] >= 1 and buckets(ran)["failed"] == 0
        stored = held(world.truth, each.collection)
        assert vector(stored["a.png"]) == pytest.approx(vector(stored["two/a.png"]), abs=1e-6)
