"""What stays in the database, dry runs, limits and tenants: the same in both ways."""

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.stack.faults.conftest import NewJob
from tests.stack.faults.database import Row, assert_exact, blob, exists, held
from tests.stack.faults.jobs import Job, buckets, items_requested, summary, together
from tests.stack.faults.pictures import album, drawing, write
from tests.stack.faults.servers import World

pytestmark = pytest.mark.stack

FEW = 24
Both = Callable[..., list[Job]]


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return album(FEW, seed=11)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> Path:
    return write(tmp_path_factory.mktemp("small") / "pictures", files)


def assert_kept(store: str, way: str, row: Row, content: bytes) -> None:
    """The picture, its thumbnail and its hash: each is stored or not, as --keep selects."""
    properties = row["properties"]
    if store == "full":
        assert blob(row, "image") == content
    else:
        assert len(properties.get("image") or "") < 100, "at most a hash of the picture stays"
        assert way == "module" or not properties.get("image")
    if store in ("full", "thumbnail"):
        Image.open(BytesIO(blob(row, "thumbnail"))).load()
    else:
        assert not properties.get("thumbnail")
    assert (properties.get("sha256") or "") == ("" if store == "none" else hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("store", ["full", "thumbnail", "hash", "none"])
def test_the_database_stores_what_keep_selects_and_the_same_vectors(
    world: World, both: Both, small: Path, files: dict[str, bytes], store: str
) -> None:
    jobs = [each for each in both(small, "--keep", store) if store != "none" or each.way == "client"]
    for ran in together(jobs):
        assert buckets(ran) == {"added": FEW, "updated": 0, "unchanged": 0, "failed": 0}
    for each in jobs:
        assert_exact(world, each.collection, files)
        for path, row in held(world.truth, each.collection).items():
            assert_kept(store, each.way, row, files[path])
    requested, jobs = items_requested(world), jobs[-1:]
    for each in jobs:  # what it keeps, the collection remembers
        each.words = each.words[:1]
    for ran in together(jobs):
        assert buckets(ran) == {"added": 0, "updated": 0, "unchanged": FEW, "failed": 0}
    assert items_requested(world) == requested


def test_a_module_cannot_make_vectors_of_what_is_not_sent(job: NewJob, small: Path) -> None:
    refused = job("module", small, "--keep", "none").start().done(2)
    assert "--embed client" in refused.stderr


def test_a_dry_run_writes_nothing_and_limits_take_the_first_ones(
    world: World, both: Both, small: Path, files: dict[str, bytes]
) -> None:
    jobs = both(small)
    requested = items_requested(world)
    for ran in together(jobs, "--dry-run"):
        assert summary(ran)["seen"] == FEW
    assert not any(exists(world.truth, each.collection) for each in jobs)
    assert items_requested(world) == requested
    for ran in together(jobs, "--limit", "10"):
        assert buckets(ran) == {"added": 10, "updated": 0, "unchanged": 0, "failed": 0}
    for each in jobs:
        first = held(world.truth, each.collection).keys()
        assert_exact(world, each.collection, {key: files[key] for key in first})
        before = {key: row["lastUpdateTimeUnix"] for key, row in held(world.truth, each.collection).items()}
        assert buckets(each.start("--dry-run").done()) == {"added": 14, "updated": 0, "unchanged": 10, "failed": 0}
        after = held(world.truth, each.collection)
        assert before == {key: row["lastUpdateTimeUnix"] for key, row in after.items()}


def test_tenants_hold_the_same_folder_each_for_itself(world: World, job: NewJob, tmp_path: Path) -> None:
    files = album(8, seed=12)
    folder = write(tmp_path / "pictures", files)
    alice = job("module", folder, "--tenant", "alice")
    bob = job("client", folder, "--tenant", "bob", collection=alice.collection)
    for ran in together([alice, bob]):  # both make the collection
        assert buckets(ran) == {"added": 8, "updated": 0, "unchanged": 0, "failed": 0}
    changed = {next(iter(files)): drawing(13)}
    write(folder, changed)
    assert buckets(bob.start().done()) == {"added": 0, "updated": 1, "unchanged": 7, "failed": 0}
    assert_exact(world, alice.collection, files, tenant="alice")
    assert_exact(world, alice.collection, files | changed, tenant="bob")
