"""A disk that is full: Weaviate's, the sidecar's cache and /tmp. The cause is named, and nothing counts as stored
that is not."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.containers.disturbed import (
    COLLECTION,
    MANY,
    IngestRun,
    assert_all_in,
    near_text,
    running_over,
    slowed,
)
from tests.containers.engine import SIDECAR, Compose, docker
from tests.models.hub_server import running_hub
from tests.models.small import random_clip, save_folder
from tests.stack.faults.database import held
from tests.stack.faults.pictures import album

pytestmark = pytest.mark.containers

FEW = MANY // 4
DISK_MB = 64
NEARLY_FULL_MB = 59  # over Weaviate's default of 90 %, where it turns read-only
DATA = "/var/lib/weaviate"
SMALL_DISKS = f"""
services:
  vectorizer:
    environment:
      CLIP_CACHE_BYTES: "0"  # each ingest waits for the model
    tmpfs: !override ["/tmp:size=64k"]
  ingest:
    tmpfs: !override ["/tmp:size=4k"]
volumes:
  weaviate:
    driver_opts: {{type: tmpfs, device: tmpfs, o: "size={DISK_MB}m"}}
  models:
    driver_opts: {{type: tmpfs, device: tmpfs, o: "size=64k,mode=1777"}}
"""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return album(MANY)


@pytest.fixture(scope="module")
def small(
    images: tuple[str, str], files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Compose]:
    with running_over(tmp_path_factory.mktemp("disks"), SMALL_DISKS, files) as compose:
        yield compose


@pytest.fixture
def compose(small: Compose) -> Compose:
    """Its database is empty, and its disk too."""
    small.stack().weaviate("DELETE", f"/v1/schema/{COLLECTION}").raise_for_status()
    return small


@contextmanager
def filled(compose: Compose, service: str, folder: str, megabytes: float) -> Iterator[None]:
    """A file of that size is on a disk of the service, or as much of it as there is room for."""
    file, container = f"{folder}/ballast", compose.container(service)["Id"]
    fill = f"head -c {int(megabytes * 1_048_576)} /dev/zero > {file}; test -s {file}"
    docker("exec", "--user", "root", container, "sh", "-c", fill)
    try:
        time.sleep(2)  # Weaviate looks twice a second
        yield
    finally:
        docker("exec", "--user", "root", container, "rm", "-f", file)
        time.sleep(2)


def test_a_weaviate_whose_disk_is_nearly_full_is_named_and_the_next_run_completes(
    compose: Compose, files: dict[str, bytes]
) -> None:
    [first] = compose.run("ingest", "/images", "--limit", str(FEW), "--json").rows
    with filled(compose, "weaviate", DATA, NEARLY_FULL_MB):
        ran = compose.run("ingest", "/images", "--patience", "3", "--json", expect=4)
        assert near_text(compose.stack(), "searches go on")[0]
        there = held(compose.stack(), COLLECTION)
    [summary] = ran.rows
    assert "stores nothing at present (store is read-only" in summary["error"] and "free some" in summary["error"]
    assert summary["failed"] == 0 and "Traceback" not in ran.stderr
    assert len(there) == first["added"] + summary["added"] == FEW
    assert_all_in(compose, files, compose.run("ingest", "/images", "--json").rows[0])


@pytest.mark.parametrize("megabytes", [NEARLY_FULL_MB, 2 * DISK_MB], ids=["nearly full", "full"])
def test_a_disk_that_fills_up_in_mid_run_is_waited_for(
    compose: Compose, files: dict[str, bytes], tmp_path: Path, megabytes: int
) -> None:
    run = IngestRun(compose, tmp_path)
    try:
        with slowed(compose, "vectorizer"):
            run.start().until_stored(FEW)
            with filled(compose, "weaviate", DATA, megabytes):
                run.until(lambda: "waiting: " in run.talk, "it waited")
        assert_all_in(compose, files, run.done(0))
    finally:
        run.end()


def test_a_full_disk_is_named_before_the_first_image(compose: Compose, files: dict[str, bytes]) -> None:
    with filled(compose, "weaviate", DATA, 2 * DISK_MB):
        ran = compose.run("ingest", "/images", "--patience", "1", "--json", options=("--no-deps",), expect=4)
        assert "disk" in ran.rows[0]["error"] and "full" in ran.rows[0]["error"]
    compose("restart", "weaviate")  # it has the collection's schema, and opens its data when it starts
    compose("up", "--detach", "--wait")
    assert_all_in(compose, files, compose.run("ingest", "/images", "--json").rows[0])


def test_a_sidecar_and_an_ingest_need_no_disk(compose: Compose, files: dict[str, bytes]) -> None:
    """What cannot be written is the report; the images are stored all the same."""
    with filled(compose, "vectorizer", "/tmp", 1), filled(compose, "vectorizer", "/home/clip/.cache", 1):
        ran = compose.run("ingest", "/images", "--report", "/tmp/report.jsonl", "--json", expect=1)
        assert "/tmp/report.jsonl is incomplete (No space left on device)" in ran.stderr
        assert_all_in(compose, files, ran.rows[0])
        assert compose.run("search", "a red apple", "--json").rows


def test_a_model_that_does_not_fit_its_cache_is_named(tmp_path: Path, images: tuple[str, str]) -> None:
    with running_hub() as hub:
        for file in save_folder(random_clip(), tmp_path).iterdir():
            hub.add("org/small", file.name, file.read_bytes())
        settings = (f"HF_ENDPOINT={hub.url}", "CLIP_MODEL=hf-hub:org/small", "CLIP_HOST=127.0.0.1", "CLIP_PORT=18081")
        given = [word for setting in settings for word in ("--env", setting)]
        cache = ("--tmpfs", "/home/clip/.cache:size=64k,uid=10001")
        ran = docker(
            "run", "--rm", "--network", "host", "--read-only", "--tmpfs", "/tmp", *cache, *given, SIDECAR, expect=1
        )
    assert "no space left on device: the model has" in ran.stderr and "Traceback" not in ran.stderr, ran.stderr
    assert "hf-hub:org/small" in ran.stderr
