"""Fixtures of the fault matrix: servers of its own that may be killed, jobs that may be killed, pictures."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from ingest.embedded import find_weaviate
from tests.stack.faults.jobs import WAYS, Job
from tests.stack.faults.pictures import album, write
from tests.stack.faults.proxy import FlakySidecar
from tests.stack.faults.servers import KillableSidecar, World, start_world

MANY = 160  # pictures of a run that is disturbed: long enough to be hit in the middle

NewJob = Callable[..., Job]


@pytest.fixture(scope="session")
def private_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Started once; what a test has killed is started again for the next one."""
    data_dir = tmp_path_factory.mktemp("world")
    with FlakySidecar() as proxy:
        sidecar = KillableSidecar("emoji", data_dir / "sidecar.log")
        world = None
        try:
            world = start_world(sidecar, proxy, find_weaviate(), data_dir)
            yield world
        finally:
            if world:
                world.weaviate.stop()
            sidecar.stop()


@pytest.fixture
def world(private_world: World) -> World:
    """Everything runs and behaves."""
    private_world.mend()
    return private_world


@pytest.fixture
def job(world: World, tmp_path: Path) -> Iterator[NewJob]:
    """Makes jobs, each with a collection of its own; they and their collections end with the test."""
    made: list[Job] = []

    def new(way: str, *words: str | Path, collection: str = "", stdin: bytes = b"", **env: str) -> Job:
        folder = tmp_path / f"job{len(made)}"
        folder.mkdir()
        name = collection or f"{way.title()}{uuid4().hex[:12]}"
        made.append(Job(world, way, name, tuple(map(str, words)), folder, env, stdin))
        return made[-1]

    yield new
    for each in made:
        each.end()
    world.mend()
    for name in {each.collection for each in made}:
        world.truth.weaviate("DELETE", f"/v1/schema/{name}")


@pytest.fixture
def both(job: NewJob) -> Callable[..., list[Job]]:
    """The same command in both ways, which run at once."""
    return lambda *words: [job(way, *words) for way in WAYS]


@pytest.fixture(scope="session")
def many() -> dict[str, bytes]:
    return album(MANY)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, many: dict[str, bytes]) -> Path:
    """Never changed by a test."""
    return write(tmp_path_factory.mktemp("album") / "pictures", many)
