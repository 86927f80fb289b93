"""clip-ingest --regions is killed at any moment, and images change between runs: regions are whole, or not recorded."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.stack.faults.conftest import NewJob
from tests.stack.faults.database import assert_exact, assert_same, count, digest, rows, vector, vectors_of
from tests.stack.faults.jobs import LOOK_SECONDS, Job, buckets, summary
from tests.stack.faults.pictures import album, drawing, write
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

FEW, CELLS = 24, 4
GRID = ("--regions", "grid=2x2")
SIZE = (96, 72)  # of each picture
CORNERS = [(left, top) for top in (0, 36) for left in (0, 48)]  # of the cells, in pixels
PACE_SECONDS = 0.01  # a crop


@pytest.fixture
def files() -> dict[str, bytes]:
    return album(FEW, seed=21)


@pytest.fixture
def region_job(job: NewJob, world: World) -> Iterator[Callable[..., Job]]:
    """Makes jobs whose collections of regions end with the test too."""
    made: list[Job] = []

    def new(way: str, *words: str | Path, **more: Any) -> Job:
        made.append(job(way, *words, **more))
        return made[-1]

    yield new
    for each in made:
        each.end()
        world.truth.weaviate("DELETE", f"/v1/schema/{each.collection}Region")


def crops(content: bytes) -> list[bytes]:
    """The four quarters of a picture in white squares as files, cut here and not by the code under test."""
    picture = Image.open(BytesIO(content)).convert("RGB")
    files = []
    width, height = SIZE[0] // 2, SIZE[1] // 2
    for left, top in CORNERS:
        out, square = BytesIO(), Image.new("RGB", (width, width), "white")
        square.paste(picture.crop((left, top, left + width, top + height)), (0, (width - height) // 2))
        square.save(out, "PNG")
        files.append(out.getvalue())
    return files


def assert_regions(world: World, collection: str, files: Mapping[str, bytes]) -> None:
    """Every image has its four regions, with the vectors of these crops, and no other image has any."""
    stored: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows(world.truth, f"{collection}Region"):
        stored[row["properties"]["path"], row["properties"]["rank"]] = row
    assert stored.keys() == {(path, rank) for path in files for rank in range(CELLS)}
    assert count(world.truth, f"{collection}Region") == CELLS * len(files), "a region is there twice"
    wanted = {path: crops(content) for path, content in files.items()}
    right = vectors_of(world.truth, [crop for each in wanted.values() for crop in each])
    for (path, rank), row in stored.items():
        assert_same(vector(row), right[digest(wanted[path][rank])], f"{path} {rank}")
        left, top = CORNERS[rank]
        place = [row["properties"][name] for name in ("x0", "y0", "x1", "y1")]
        corner = left / SIZE[0], top / SIZE[1]
        np.testing.assert_allclose(place, [*corner, corner[0] + 0.5, corner[1] + 0.5], atol=1e-6)


def test_killed_at_any_moment_and_run_again_every_image_has_all_its_regions_once(
    world: World, region_job: Callable[..., Job], files: dict[str, bytes], tmp_path: Path
) -> None:
    each = region_job("module", write(tmp_path / "pictures", files), *GRID)
    moment = random.Random(7).randrange(1, FEW * CELLS // 2)
    world.proxy.pace_seconds = PACE_SECONDS
    each.start()
    kill_when(each, lambda: count(world.truth, f"{each.collection}Region") >= moment)
    world.proxy.pace_seconds = 0
    found = summary(each.start().done())
    assert found["failed"] == 0 and found["regions"] > 0, "it was over before it was killed"
    assert_exact(world, each.collection, files)
    assert_regions(world, each.collection, files)
    again = summary(each.start().done())
    assert (again["unchanged"], again["regions"]) == (FEW, 0)


def test_killed_while_other_options_replace_regions_the_first_options_bring_back_their_own(
    world: World, region_job: Callable[..., Job], files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write(tmp_path / "pictures", files)
    each = region_job("client", folder, *GRID)
    each.start().done()
    other = region_job("client", folder, "--regions", "grid=3x3", collection=each.collection)
    world.proxy.pace_seconds = PACE_SECONDS
    other.start()
    kill_when(other, lambda: count(world.truth, f"{each.collection}Region") > CELLS * FEW + 20)
    world.proxy.pace_seconds = 0
    assert summary(each.start().done())["updated"] > 0
    assert_regions(world, each.collection, files)


def kill_when(job: Job, condition: Callable[[], bool]) -> None:
    while not condition():
        assert job.process.poll() is None, f"over before it was killed:\n{job.talk}"
        time.sleep(LOOK_SECONDS)
    job.kill()


def test_regions_follow_their_images_also_in_runs_without_the_option(
    world: World, region_job: Callable[..., Job], files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write(tmp_path / "pictures", files)
    each = region_job("client", folder)
    assert buckets(each.start(*GRID).done())["added"] == FEW
    changed, captioned, renamed, gone = list(files)[:4]
    content = drawing(9_000, size=SIZE)
    write(folder, {changed: content})
    (folder / captioned).with_suffix(".txt").write_text("a caption", "utf-8")
    (folder / renamed).rename(folder / f"moved{Path(renamed).suffix}")
    (folder / gone).unlink()

    assert buckets(each.start("--prune").done()) == {"added": 1, "updated": 2, "unchanged": FEW - 4, "failed": 0}
    kept = {path: data for path, data in files.items() if path not in (changed, renamed, gone)}
    assert_regions(world, each.collection, kept)  # a changed image lost the regions of its old picture
    captions = [
        row["properties"]["caption"]
        for row in rows(world.truth, f"{each.collection}Region")
        if row["properties"]["path"] == captioned
    ]
    assert captions == ["a caption"] * CELLS

    found = summary(each.start(*GRID).done())
    assert (found["updated"], found["regions"]) == (2, 2 * CELLS)
    now = kept | {changed: content, f"moved{Path(renamed).suffix}": files[renamed]}
    assert_regions(world, each.collection, now)
    assert_exact(world, each.collection, now)
