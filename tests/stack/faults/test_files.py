"""Files that cannot be used, and a report that cannot be written: reported once, and they stop nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.stack.faults.conftest import MANY, NewJob
from tests.stack.faults.database import assert_exact
from tests.stack.faults.jobs import BUCKETS, Job, buckets, lines_of, summary, together
from tests.stack.faults.pictures import CORRUPT, drawing, write
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

Both = Callable[..., list[Job]]


def test_a_twentieth_of_the_files_is_corrupt_and_comes_in_once_repaired(
    world: World, job: NewJob, many: dict[str, bytes], tmp_path: Path
) -> None:
    good = dict(list(many.items())[: MANY - len(CORRUPT)])
    bad = {f"torn/{name}": make() for name, make in CORRUPT.items()}
    folder = write(tmp_path / "pictures", good | bad)
    reports = {way: tmp_path / f"{way}.jsonl" for way in ("module", "client")}
    jobs = [job(way, folder, "--report", report) for way, report in reports.items()]
    for each, ran in zip(jobs, together(jobs, expect=3), strict=True):
        assert buckets(ran) == {"added": len(good), "updated": 0, "unchanged": 0, "failed": len(bad)}
        assert {failure["path"] for failure in summary(ran)["failures"]} == bad.keys()
        for key in bad:
            [line] = [line for line in ran.stderr.splitlines() if key in line]
            assert len(line.partition(key)[2].split()) >= 2, f"no reason in {line!r}"
        assert_reported(reports[each.way], good, bad, folder)
        assert_exact(world, each.collection, good)

    repaired = {key: drawing(7_000 + number) for number, key in enumerate(bad)}
    write(folder, repaired)
    retries = [job(each.way, folder, "--retry-failed", reports[each.way], collection=each.collection) for each in jobs]
    for each, ran in zip(retries, together(retries), strict=True):
        assert buckets(ran) == {"added": len(bad), "updated": 0, "unchanged": 0, "failed": 0}
        assert_exact(world, each.collection, good | repaired)


def assert_reported(report: Path, good: dict[str, bytes], bad: dict[str, bytes], folder: Path) -> None:
    lines = lines_of(report)
    assert lines.keys() == good.keys() | bad.keys()
    assert {line["status"] for line in lines.values()} <= set(BUCKETS)
    assert {key for key, line in lines.items() if line["status"] == "failed"} == bad.keys()
    assert all(lines[key]["reason"] for key in bad)
    assert {line["source"] for line in lines.values()} == {str(folder)}


def test_a_full_disk_under_the_report_costs_the_report_and_nothing_else(
    world: World, job: NewJob, folder: Path, many: dict[str, bytes], tmp_path: Path
) -> None:
    report = tmp_path / "report.jsonl"
    never = job("module", folder, "--report", "/dev/full").start()
    midway = job("client", folder, "--report", report).start(limit_bytes=8192)  # a disk that fills up after a while
    for each, name in ((never, "/dev/full"), (midway, str(report))):
        ran = each.done(expect=None)
        assert ran.exit_code not in (0, 130), ran
        assert buckets(ran) == {"added": MANY, "updated": 0, "unchanged": 0, "failed": 0}
        assert name in ran.stderr, ran.stderr
        assert_exact(world, each.collection, many)
