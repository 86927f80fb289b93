"""Backups of the compose stack outlive the database and leave the machine; in a volume, a folder, a bucket."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.containers.engine import COMPOSE, START_SECONDS, Compose, docker, running
from tests.stack.faults.database import rows
from tests.stack.support import Stack

pytestmark = pytest.mark.containers

GRAPHQL = '{ Get { Image(nearText: {concepts: ["a red apple"]}, limit: 5) { path _additional { id distance } } } }'
S3 = COMPOSE.with_name("compose.s3.yaml")
BUCKET_SERVER = Path(__file__).with_name("bucket.yaml")
SMALL_VOLUME = Path(__file__).with_name("small_volume.yaml")


@pytest.fixture(scope="module")
def compose(images: tuple[str, str]) -> Iterator[Compose]:
    with running(Compose()) as compose:
        compose.run("ingest", "/images/fruit", "--json")
        yield compose


def snapshot(stack: Stack) -> tuple[list[Any], Any, Any]:
    """Every object with its vector, a search by text, and the schema."""
    objects = sorted(rows(stack, "Image"), key=lambda row: str(row["id"]))
    assert len(objects) == 20
    return objects, stack.graphql(GRAPHQL), stack.weaviate("GET", "/v1/schema/Image").json()


def remove_database(compose: Compose) -> Stack:
    """`down`, then the volume of the database alone, then `up`: an empty Weaviate."""
    compose("down")
    docker("volume", "rm", f"{compose.project}_weaviate")
    compose("up", "--detach", "--wait", seconds=START_SECONDS)
    stack = compose.stack()
    assert stack.weaviate("GET", "/v1/schema").json()["classes"] == []
    return stack


def test_a_backup_outlives_the_database_and_the_machine(compose: Compose, tmp_path: Path) -> None:
    before = snapshot(compose.stack())
    made = compose.run("ingest", "backup", "kept")
    assert re.fullmatch(r"Image \(20 objects\), .* -> kept \(filesystem\)\n", made.stdout)
    assert "backing up Image" in made.stderr

    stack = remove_database(compose)
    assert compose.run("ingest", "restore", "kept", "--json").rows[0]["collections"]["Image"]["objects"] == 20
    assert snapshot(stack) == before
    assert "apple" in compose.run("search", "a red apple", "--json").rows[0]["path"]
    assert "never writes over a collection" in compose.run("ingest", "restore", "kept", expect=2).stderr

    compose("cp", "weaviate:/backups/kept", tmp_path)
    compose("exec", "-T", "weaviate", "rm", "-r", "/backups/kept")
    assert "there is no backup kept" in compose.run("ingest", "restore", "kept", expect=2).stderr
    compose("cp", tmp_path / "kept", "weaviate:/backups/")
    stack.weaviate("DELETE", "/v1/schema/Image").raise_for_status()
    compose.run("ingest", "restore", "kept")
    assert snapshot(stack) == before


def test_a_volume_that_is_full_is_named_as_the_reason(images: tuple[str, str]) -> None:
    with running(Compose((COMPOSE, SMALL_VOLUME))) as compose:
        compose.run("ingest", "/images/fruit", "--json")
        failed = compose.run("ingest", "backup", "too-large", expect=1).stderr
        assert "the backup too-large failed: " in failed and "free some space" in failed
        assert len(rows(compose.stack(), "Image")) == 20


@pytest.mark.parametrize(("owner", "exit_code"), [(0, 0), (1000, 1)])
def test_a_folder_of_this_machine_belongs_to_root(
    images: tuple[str, str], tmp_path: Path, owner: int, exit_code: int
) -> None:
    """Weaviate has no capability to write where another user may."""
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o755)
    docker(
        "run", "--rm", "--volume", f"{folder}:/x", "--user", "0", "--entrypoint", "chown", images[1], str(owner), "/x"
    )
    with running(Compose(settings={"BACKUPS": str(folder)})) as compose:
        compose.run("ingest", "/images/fruit", "--json")
        ran = compose.run("ingest", "backup", "here", expect=exit_code)
        assert (folder / "here" / "backup_config.json").exists() == (owner == 0)
        assert owner == 0 or "must be able to write to its backup folder" in ran.stderr
        docker(
            "run",
            "--rm",
            "--volume",
            f"{folder}:/x",
            "--user",
            "0",
            "--entrypoint",
            "chmod",
            images[1],
            "-R",
            "777",
            "/x",
        )


def test_a_bucket_instead_of_a_volume(images: tuple[str, str]) -> None:
    files: Sequence[Path] = (COMPOSE, S3, BUCKET_SERVER)
    with running(Compose(files, {"BACKUP_S3_BUCKET": "kept-images", "BACKUP_S3_PATH": "weaviate"})) as compose:
        compose.run("ingest", "/images/fruit", "--json")
        before = snapshot(compose.stack())
        made = compose.run("ingest", "backup", "far-away", "--json").rows[0]
        assert (made["backend"], made["path"]) == ("s3", "s3://kept-images/weaviate/far-away")
        compose("stop", "weaviate")
        compose("rm", "--force", "weaviate")
        docker("volume", "rm", f"{compose.project}_weaviate")
        compose("up", "--detach", "--wait", "weaviate", seconds=START_SECONDS)
        compose.run("ingest", "restore", "far-away", "--backend", "s3")
        assert snapshot(compose.stack()) == before
        assert [row["backup"] for row in compose.run("ingest", "backup", "--list", "--json").rows] == ["far-away"]
