"""An upgrade from an earlier image, and another model while searches go on: data are kept, models never mix."""

import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import pytest

from clip_vectorizer.errors import Mismatch
from clip_vectorizer.query import ImageSearch
from tests.containers.disturbed import COLLECTION, IngestRun, assert_all_in, near_text, write_album
from tests.containers.engine import BUILD_SECONDS, COMPOSE, START_SECONDS, Compose, docker, running
from tests.stack.faults.database import count, held
from tests.stack.faults.pictures import album
from tests.stack.support import REPOSITORY, Stack

pytestmark = pytest.mark.containers

# Before there was an image of the commands, and with another bundled model.
PREVIOUS = "3c12192"
EMOJI = "clip_vectorizer/models/emoji"
FEW = 60
MOUNT = """
services:
  vectorizer:
    volumes: ["{folder}:/before:ro"]
"""


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return album(FEW)


@pytest.fixture(scope="module")
def previous() -> Iterator[str]:
    """The image that PREVIOUS's own Dockerfile makes."""
    tag = f"clip-vectorizer:previous-{uuid4().hex[:8]}"
    build = ["docker", "build", "--quiet", "--file", "docker/Dockerfile", "--tag", tag, "-"]
    subprocess.run(build, input=archive(), check=True, capture_output=True, timeout=BUILD_SECONDS)
    yield tag
    docker("image", "rm", "--force", tag, expect=None)


def archive(*paths: str) -> bytes:
    """Files of PREVIOUS as a tar."""
    command = ["git", "archive", PREVIOUS, *paths]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def override(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compose file with which the sidecar has the model of PREVIOUS as /before."""
    folder = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=BytesIO(archive(EMOJI))) as tar:
        tar.extractall(folder, filter="data")
    (folder / "mount.yaml").write_text(MOUNT.format(folder=folder / EMOJI))
    for each in (folder, *folder.parents[:2], *folder.rglob("*")):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return folder / "mount.yaml"


@pytest.fixture
def compose(
    images: tuple[str, str], override: Path, files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> Compose:
    folder = write_album(tmp_path_factory.mktemp("album") / "pictures", files)
    return Compose((COMPOSE, override), {"IMAGES": str(folder)})


def with_settings(compose: Compose, **settings: str) -> Compose:
    return replace(compose, settings={**compose.settings, **settings})


def up(compose: Compose) -> None:
    compose("up", "--detach", "--wait", seconds=START_SECONDS)


def test_an_upgrade_keeps_the_data_and_mixes_no_models(
    compose: Compose, previous: str, files: dict[str, bytes]
) -> None:
    with running(with_settings(compose, VECTORIZER_IMAGE=previous)) as before:
        [summary] = before.run("ingest", "/images", "--json").rows
        assert_all_in(before, files, summary)
        stored = held(before.stack(), COLLECTION)

        up(compose)  # the new image, whose bundled model is another one
        assert_refused(compose)
        assert held(compose.stack(), COLLECTION) == stored

        kept = with_settings(compose, CLIP_MODEL="local-dir:/before")  # the new image with the model of before
        up(kept)
        assert kept.run("ingest", "/images", "--json").rows[0]["unchanged"] == FEW
        assert kept.run("search", "a red apple", "--json").rows
        assert held(compose.stack(), COLLECTION) == stored

        up(compose)
        [moved] = compose.run("ingest", "/images", "--reindex", "--json").rows
        assert (moved["updated"], moved["failed"]) == (FEW, 0)
        assert compose.run("search", "a red apple", "--json").rows
        assert compose.run("ingest", "/images", "--json").rows[0]["unchanged"] == FEW
        assert count(compose.stack(), COLLECTION) == FEW


def assert_refused(compose: Compose) -> None:
    for service, words in (("ingest", ("/images",)), ("search", ("a red apple",))):
        refused = compose.run(service, *words, expect=5).stderr
        assert f"the collection {COLLECTION} was made with the model emoji" in refused, refused
        assert "--reindex" in refused


def test_another_model_is_rolled_out_while_searches_go_on(compose: Compose, tmp_path: Path) -> None:
    files = album(FEW, seed=1)  # others: what the checks remember of a picture is the vector of one model
    compose = with_settings(compose, IMAGES=str(write_album(tmp_path / "pictures", files)))
    with running(compose), second_sidecar(compose, "local-dir:/before") as (inside, outside):
        assert_all_in(compose, files, compose.run("ingest", "/images", "--json").rows[0])
        stack = compose.stack()
        with searching(stack, replace(stack, vectorizer_url=outside)) as answers:
            moving = IngestRun(compose, tmp_path, options=("--env", f"VECTORIZER_URL={inside}"))
            moved = moving.start("--reindex", "--inference-url", inside).done(0)
            assert (moved["updated"], moved["failed"]) == (FEW, 0)
            time.sleep(2)
        assert answers == sorted(answers, reverse=True), "a search went back to the first model"
        assert set(answers) == {"old", "new"}, answers
        refused = compose.run("search", "a red apple", expect=5).stderr
        assert f"the collection {COLLECTION} was made with the model local-dir:/before" in refused
        assert near_text(stack, "by the first vector", "clip")[0], "who names the first vector finds by it as before"


@contextmanager
def second_sidecar(compose: Compose, model: str) -> Iterator[tuple[str, str]]:
    """Its addresses for the other containers and for this machine."""
    name = f"{compose.project}-next"
    start = ("run", "--detach", "--name", name, "--no-deps", "--env", f"CLIP_MODEL={model}")
    compose(*start, "--publish", "127.0.0.1::8080", "vectorizer")
    try:
        yield f"http://{name}:8080", f"http://{docker('port', name, '8080').stdout.strip()}"
    finally:
        docker("rm", "--force", name)


@contextmanager
def searching(old: Stack, new: Stack) -> Iterator[list[str]]:
    """Searches by text until the end of the block, with the first model's sidecar or, where that is refused, with the
    second's; which of the two answered each. A search that neither answers fails the test."""
    answers: list[str] = []
    problems: list[BaseException] = []
    end = Event()

    def search() -> None:
        try:
            while not end.is_set():
                answers.append(answer(old, new, len(answers)))
        except BaseException as problem:
            problems.append(problem)

    thread = Thread(target=search)
    thread.start()
    try:
        yield answers
    finally:
        end.set()
        thread.join()
    assert not problems, problems


def answer(old: Stack, new: Stack, number: int) -> str:
    for name, stack in (("old", old), ("new", new)):
        try:
            with ImageSearch.connect(
                stack.weaviate_url, grpc_port=stack.grpc_port, vectorizer_url=stack.vectorizer_url
            ) as images:
                assert len(images.by_text(f"picture {number}", 5)) == 5
                return name
        except Mismatch:
            continue
    raise AssertionError("the collection has the model of neither sidecar")
