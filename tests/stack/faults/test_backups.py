"""Backups on real servers: restored into an empty Weaviate of another name; killed, cancelled and failed ones."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from clip_vectorizer.query.cli.classify import main as clip_classify
from clip_vectorizer.query.cli.search import main as clip_search
from ingest.cli import main as clip_ingest
from ingest.embedded import LocalWeaviate
from tests.stack.faults.database import count, exists, rows
from tests.stack.faults.pictures import album, write
from tests.stack.faults.servers import World
from tests.stack.processes import eventually
from tests.stack.support import BIN, Ran, Stack, clean_environment, run_inside

pytestmark = pytest.mark.stack

NODE = "local"  # of a LocalWeaviate: the name of a folder in each backup
OTHER_NODE = "another"
IMAGES = 40
START_SECONDS = 90  # of a command on a busy machine


class OtherNode(LocalWeaviate):
    """A Weaviate whose node has another name than the one that made the backups."""

    def _environment(self) -> dict[str, str]:
        settings = super()._environment()
        joins = settings["RAFT_JOIN"].replace(f"{NODE}:", f"{OTHER_NODE}:")
        return settings | {"CLUSTER_HOSTNAME": OTHER_NODE, "RAFT_JOIN": joins}


@pytest.fixture(scope="module")
def empty(private_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A second Weaviate, which has nothing but the folder of backups in common with the first."""
    backups, sidecar = private_world.weaviate.backups, private_world.sidecar.url
    with OtherNode(tmp_path_factory.mktemp("second"), sidecar, backups=backups) as second:
        yield Stack(second.url, second.grpc_port, second.api_key, sidecar)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write(tmp_path_factory.mktemp("few") / "pictures", album(IMAGES))
    for number, file in enumerate(sorted(folder.rglob("*.png"))):
        file.with_suffix(".txt").write_text(f"drawing number{number % 5} of a square")
    return folder


@pytest.fixture(scope="module")
def full(private_world: World, folder: Path) -> Iterator[str]:
    """A collection of images in the first Weaviate."""
    private_world.mend()
    with filled(private_world.truth, folder) as name:
        yield name


@contextmanager
def filled(stack: Stack, folder: Path, *options: str) -> Iterator[str]:
    name = f"Kept{uuid4().hex[:8]}"
    ingest(stack, folder, "--collection", name, *options)
    yield name
    stack.weaviate("DELETE", f"/v1/schema/{name}")


def ingest(stack: Stack, *words: str | Path, expect: int = 0) -> Ran:
    return run_inside(clip_ingest, stack.env, *words, expect=expect)


def schema(stack: Stack, collection: str) -> Any:
    """As Weaviate has it, without where its shards are."""
    found = stack.weaviate("GET", f"/v1/schema/{collection}").json()
    return {name: value for name, value in found.items() if name != "shardingConfig"}


def searches(stack: Stack, collection: str, tenant: tuple[str, ...] = ()) -> list[Any]:
    """By text, by a stored image's vector, and by words (BM25)."""
    place = ("--collection", collection, *tenant, "--json", "--limit", "7")
    like = run_inside(clip_search, stack.env, "--list", *place).rows[0]["path"]
    asked = (("a square",), ("--like", like), ("number3", "--captions", "0"))
    return [run_inside(clip_search, stack.env, *words, *place).rows for words in asked]


def ordered(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: str(row["id"]))


def test_a_backup_restores_everything_into_an_empty_weaviate(
    world: World, empty: Stack, full: str, folder: Path
) -> None:
    first = world.truth
    with filled(first, folder, "--tenant", "awake") as owned:
        ingest(first, folder, "--collection", owned, "--tenant", "asleep", "--limit", "9")
        first.weaviate("PUT", f"/v1/schema/{owned}/tenants", [{"name": "asleep", "activityStatus": "COLD"}])
        words = ("--labels", "red,blue", "--label-set", "hues", "--limit", "1", "--collection", full)
        run_inside(clip_classify, first.env, *words)

        [made] = ingest(first, "backup", "all-of-it", "--collection", full, "--collection", owned, "--json").rows
        assert made["collections"][full] == {"objects": IMAGES, "model": "emoji"}
        assert made["collections"][owned] == {"tenants": 2, "model": "emoji"}
        assert made["bytes"] > 0 and "ImageLabelSet" in made["collections"]

        assert empty.weaviate("GET", "/v1/schema").json()["classes"] == []
        [restored] = ingest(empty, "restore", "all-of-it", "--json").rows
        assert restored["collections"] == made["collections"]
        for name in restored["collections"]:
            assert schema(empty, name) == schema(first, name)
        for name, tenant in ((full, None), (owned, "awake"), (owned, "asleep")):
            there = ordered(rows(first, name, tenant))
            assert there and ordered(rows(empty, name, tenant)) == there  # vectors too, digit by digit
        for name, tenant in ((full, ()), (owned, ("--tenant", "awake"))):
            assert searches(empty, name, tenant) == searches(first, name, tenant)
        words = ("--label-set", "hues", "--collection", full, "--json")
        results = [run_inside(clip_classify, stack.env, *words).rows for stack in (first, empty)]
        assert results[0] == results[1] and len(results[0]) == IMAGES

        refused = ingest(empty, "restore", "all-of-it", expect=2).stderr
        assert f"{', '.join(sorted((full, owned)))} exist" in refused and "never writes over" in refused
        empty.weaviate("DELETE", f"/v1/schema/{full}")
        again = ingest(empty, "restore", "all-of-it", "--collection", full)
        assert "not restored, because it exists: ImageLabel, ImageLabelSet" in again.stderr
        assert searches(empty, full) == searches(first, full)
        assert ingest(empty, folder, "--collection", full, "--json").rows[0]["unchanged"] == IMAGES


@contextmanager
def stuck_backup(world: World, collection: str) -> Iterator[tuple[str, "subprocess.Popen[str]", Path]]:
    """A backup in its middle: one of its files is a pipe that is not read, so Weaviate cannot write on."""
    name = f"stuck-{uuid4().hex[:8]}"
    pipe = world.weaviate.backups / name / NODE / collection / "chunk-1"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    command = [BIN / "clip-ingest", "backup", name, "--collection", collection]
    env = clean_environment() | world.truth.env
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert eventually((pipe.parents[2] / "backup_config.json").exists, START_SECONDS)
            time.sleep(3)  # beyond Weaviate's first look at what its node does
            assert process.poll() is None
            yield name, process, pipe
        finally:
            process.kill()


def states(world: World) -> dict[str, str]:
    return {row["backup"]: row["status"] for row in ingest(world.truth, "backup", "--list", "--json").rows}


def test_a_weaviate_that_is_killed_in_a_backup_leaves_no_half_one(world: World, full: str) -> None:
    with stuck_backup(world, full) as (name, process, pipe):
        world.weaviate.end(signal.SIGKILL)
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 4 and "Traceback" not in messages
    assert "no Weaviate answers" in messages and "a restart of Weaviate ends the backup" in messages
    pipe.unlink()
    world.weaviate.start()
    assert eventually(lambda: states(world)[name] == "CANCELED")
    assert count(world.truth, full) == IMAGES
    assert f"{name} is not complete (CANCELED)" in ingest(world.truth, "restore", name, expect=2).stderr
    assert "already (CANCELED)" in ingest(world.truth, "backup", name, expect=2).stderr
    [made] = ingest(world.truth, "backup", "--collection", full, "--json").rows
    assert made["backup"].startswith(full.lower()) and states(world)[made["backup"]] == "SUCCESS"


def test_ctrl_c_cancels_the_backup_in_weaviate_too(world: World, full: str) -> None:
    with stuck_backup(world, full) as (name, process, pipe):
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        pipe.read_bytes()  # Weaviate cannot give up what it is writing
        _, messages = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"the backup {name} is cancelled" in messages and "Traceback" not in messages
    assert states(world)[name] == "CANCELED"


def block_with_full_disk(file: Path) -> None:
    file.symlink_to("/dev/full")


def block_with_folder(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize(
    ("block", "sentences"),
    [
        (block_with_full_disk, ("no space left on device", "free some space where Weaviate keeps its backups")),
        (block_with_folder, ("is a directory",)),
    ],
)
def test_a_backup_that_fails_ends_with_weaviates_reason(
    world: World, full: str, block: Callable[[Path], None], sentences: tuple[str, ...]
) -> None:
    name = f"failed-{uuid4().hex[:8]}"
    file = world.weaviate.backups / name / NODE / full / "chunk-1"
    file.parent.mkdir(parents=True)
    block(file)
    failed = ingest(world.truth, "backup", name, "--collection", full, expect=1)
    assert f"the backup {name} failed: " in failed.stderr and failed.stdout == ""
    assert all(each in failed.stderr for each in sentences)
    assert states(world)[name] == "FAILED"


def test_a_damaged_backup_restores_nothing(world: World, empty: Stack, full: str) -> None:
    [made] = ingest(world.truth, "backup", "--collection", full, "--json").rows
    chunks = (world.weaviate.backups / made["backup"] / NODE / full).iterdir()
    chunk = max(chunks, key=lambda file: file.stat().st_size)
    chunk.write_bytes(chunk.read_bytes()[: chunk.stat().st_size // 2])
    empty.weaviate("DELETE", f"/v1/schema/{full}")
    failed = ingest(empty, "restore", made["backup"], "--collection", full, expect=1)
    assert f"the restore of {made['backup']} failed: " in failed.stderr and full in failed.stderr
    assert not exists(empty, full)
