"""`--watch`: what comes into the folder comes into the database, until it is interrupted."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.stack.faults.database import Row, assert_exact, digest, held
from tests.stack.faults.jobs import Job, summary
from tests.stack.faults.pictures import album, drawing, write
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

Both = Callable[..., list[Job]]
HALF_SECONDS = 1.0  # between the halves of a file that is written slowly


def test_new_changed_and_slowly_written_files_come_in_until_an_interrupt(
    world: World, both: Both, tmp_path: Path
) -> None:
    files = album(10, seed=21)
    folder = write(tmp_path / "pictures", files)
    jobs = [each.start("--watch") for each in both(folder)]
    for each in jobs:
        each.until_stored(len(files))

    files["new/one.png"] = drawing(3_001)
    (folder / "new").mkdir()
    (folder / "new" / "one.png").write_bytes(files["new/one.png"])
    changed = next(iter(files))
    files[changed] = drawing(3_002)
    (folder / changed).write_bytes(files[changed])
    slow, files["slow.png"] = folder / "slow.png", drawing(3_003, size=(400, 300))
    half = len(files["slow.png"]) // 2
    with slow.open("wb") as out:
        out.write(files["slow.png"][:half])
        out.flush()
        time.sleep(HALF_SECONDS)
        out.write(files["slow.png"][half:])

    for each in jobs:
        each.until(partial(all_in, world, each, files), "all that is in the folder was in the database")
        each.interrupt()
        ran = each.done(expect=None, seconds=10)
        assert ran.exit_code in (0, 130), ran
        assert summary(ran)["failed"] == 0, "half a file is no failure"
        assert_exact(world, each.collection, files)


def all_in(world: World, job: Job, files: dict[str, bytes]) -> bool:
    rows: dict[str, Row] = held(world.truth, job.collection)
    return {key: row["properties"]["sha256"] for key, row in rows.items()} == {
        key: digest(content) for key, content in files.items()
    }
