"""A folder that changes between runs: what is sent again, what is only amended, and what is removed."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.stack.faults.conftest import NewJob
from tests.stack.faults.database import assert_exact, held
from tests.stack.faults.jobs import WAYS, Job, buckets, items_requested, summary, together
from tests.stack.faults.pictures import age, album, drawing, write
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

FEW = 40
Both = Callable[..., list[Job]]


@pytest.fixture
def files() -> dict[str, bytes]:
    return album(FEW, seed=7)


def ways(stored: dict[str, Any], keys: list[str], name: str) -> list[Any]:
    return [stored[key]["properties"].get(name) for key in keys]


def test_each_kind_of_change_costs_what_it_must_and_nothing_more(
    world: World, both: Both, files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write(tmp_path / "pictures", files)
    jobs = both(folder)
    for ran in together(jobs):
        assert buckets(ran) == {"added": FEW, "updated": 0, "unchanged": 0, "failed": 0}
    first = [held(world.truth, each.collection) for each in jobs]

    keys = list(files)
    changed, touched, captioned, renamed, copied = (keys[start : start + 3] for start in range(0, 15, 3))
    now = files | {key: drawing(9_000 + number) for number, key in enumerate(changed)}
    write(folder, {key: now[key] for key in changed})
    for key in touched:
        age(folder / key, 60)
    for key in captioned:
        (folder / key).with_suffix(".txt").write_text(f"about {key}", "utf-8")
    moved = {key: f"{key}.moved{Path(key).suffix}" for key in renamed}
    for old, new in moved.items():
        (folder / old).rename(folder / new)
        now[new] = now.pop(old)
    copies = {f"{key}.copy{Path(key).suffix}": key for key in copied}
    write(folder, {copy: files[key] for copy, key in copies.items()})
    now |= {copy: files[key] for copy, key in copies.items()}

    requested = items_requested(world)
    for ran in together(jobs):
        assert buckets(ran) == {"added": 6, "updated": 6, "unchanged": FEW - 9, "failed": 0}, summary(ran)
    assert items_requested(world) - requested == len(changed) * len(jobs), "vectors that are there were requested again"
    for each, before in zip(jobs, first, strict=True):
        after = held(world.truth, each.collection)
        assert after.keys() == now.keys() | set(renamed), "without --prune nothing is removed"
        for key in changed:
            assert after[key]["id"] == before[key]["id"]
            assert after[key]["properties"]["sha256"] != before[key]["properties"]["sha256"]
        for key in (*touched, *captioned):
            assert after[key]["vectors"]["clip"] == before[key]["vectors"]["clip"], "bit by bit"
        assert ways(after, captioned, "caption") == [f"about {key}" for key in captioned]
        for old, new in (*moved.items(), *((key, copy) for copy, key in copies.items())):
            assert after[new]["vectors"]["clip"] == before[old]["vectors"]["clip"], "bit by bit"
            assert after[new]["properties"]["duplicate_of"] == old
        assert_exact(world, each.collection, now | {key: files[key] for key in renamed})

    requested = items_requested(world)  # the test itself sent requests in between
    for ran in together(jobs, "--prune"):  # what was renamed goes by its old name
        assert buckets(ran) == {"added": 0, "updated": 0, "unchanged": FEW + 3, "failed": 0}
        assert summary(ran)["pruned"] == len(renamed)
    assert items_requested(world) == requested
    for each in jobs:
        assert_exact(world, each.collection, now)
        stored = held(world.truth, each.collection)
        assert all(row["properties"].get("duplicate_of") in (None, "", *stored) for row in stored.values())


@pytest.mark.parametrize("way", WAYS)
def test_a_file_of_the_same_size_and_time_is_read_only_with_checksum(
    world: World, job: NewJob, tmp_path: Path, way: str
) -> None:
    """Two bitmaps of one size are as long as each other: only their bytes differ."""
    files = {f"{number}.bmp": drawing(500 + number, "BMP") for number in range(4)}
    folder = write(tmp_path / "pictures", files)
    each = job(way, folder)
    together([each])
    before = held(world.truth, each.collection)
    time = (folder / "0.bmp").stat().st_mtime_ns
    (folder / "0.bmp").write_bytes(drawing(600, "BMP"))
    os.utime(folder / "0.bmp", ns=(time, time))

    [unread] = together([each])
    assert buckets(unread) == {"added": 0, "updated": 0, "unchanged": 4, "failed": 0}
    after = held(world.truth, each.collection)
    assert all(after[key]["lastUpdateTimeUnix"] == before[key]["lastUpdateTimeUnix"] for key in files)
    [read] = together([each], "--checksum")
    assert buckets(read) == {"added": 0, "updated": 1, "unchanged": 3, "failed": 0}
    assert_exact(world, each.collection, files | {"0.bmp": drawing(600, "BMP")})


def test_a_touched_file_is_read_once(world: World, job: NewJob, tmp_path: Path) -> None:
    files = {f"{number}.bmp": drawing(700 + number, "BMP") for number in range(4)}
    folder = write(tmp_path / "pictures", files)
    each = job("client", folder)
    together([each])
    age(folder / "1.bmp", 60)
    together([each])
    before = held(world.truth, each.collection)["1.bmp"]
    time = (folder / "1.bmp").stat().st_mtime_ns
    (folder / "1.bmp").write_bytes(drawing(800, "BMP"))  # would be noticed if it were read
    os.utime(folder / "1.bmp", ns=(time, time))
    [ran] = together([each])
    assert buckets(ran) == {"added": 0, "updated": 0, "unchanged": 4, "failed": 0}
    assert held(world.truth, each.collection)["1.bmp"] == before
