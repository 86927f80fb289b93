"""A collection and another model: refused, or embedded again next to the old vectors, even through a kill."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ingest.embedded import LocalSidecar
from tests.stack.faults.conftest import NewJob
from tests.stack.faults.database import assert_exact, assert_same, held
from tests.stack.faults.jobs import buckets, together
from tests.stack.faults.pictures import album, write
from tests.stack.faults.proxy import FlakySidecar
from tests.stack.faults.servers import World
from tests.stack.support import REPOSITORY, Ran, base64_of, http, run_command
from tests.stack.test_refusals import altered

pytestmark = pytest.mark.stack

FEW = 60


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlakySidecar]:
    """The emoji towers with other weights, behind a proxy of their own."""
    folder = tmp_path_factory.mktemp("models") / "altered"
    shutil.copytree(REPOSITORY / "clip_vectorizer" / "models" / "emoji", folder)
    weights = folder / "open_clip_model.safetensors"
    random = np.random.default_rng(0)
    save_file({name: altered(tensor, random) for name, tensor in load_file(weights).items()}, weights)
    with LocalSidecar(f"local-dir:{folder}") as sidecar, FlakySidecar() as proxy:
        proxy.upstream = sidecar.url
        yield proxy


@pytest.mark.parametrize("way", ["client", "module"])
def test_another_model_is_refused_and_nothing_is_written(
    world: World, job: NewJob, other: FlakySidecar, tmp_path: Path, way: str
) -> None:
    files = album(4, seed=31)
    folder = write(tmp_path / "pictures", files)
    first = job(way, folder)
    together([first])
    more = write(tmp_path / "more", {"more.png": album(1, seed=32)["plain/0000.jpg"]})
    refused = job(way, more, collection=first.collection, VECTORIZER_URL=other.url).start().done(5)
    assert "emoji" in refused.stderr and "altered" in refused.stderr
    assert_exact(world, first.collection, files)


def test_reindexing_with_another_model_survives_a_kill_and_switches_at_the_end(
    world: World, job: NewJob, other: FlakySidecar, tmp_path: Path
) -> None:
    files = album(FEW, seed=33)
    folder = write(tmp_path / "pictures", files)
    first = job("client", folder)
    together([first])
    before = held(world.truth, first.collection)
    again = job("reindex", folder, collection=first.collection, VECTORIZER_URL=other.url)
    other.pace_seconds = 0.02
    again.start().until(lambda: other.images > 0, "the other model was called").kill()
    assert_searchable(world, first.collection, folder, files)  # meanwhile: the old model, the old vectors
    other.pace_seconds = 0
    assert sum(buckets(again.start().done()).values()) == FEW

    after = held(world.truth, first.collection)
    right = http("POST", f"{other.url}/vectorize", json={"images": [base64_of(file) for file in files.values()]}).json()
    for path, row in zip(files, right["imageVectors"], strict=True):
        assert after[path]["id"] == before[path]["id"]
        [name] = after[path]["vectors"].keys() - {"clip"}
        assert_same(np.array(after[path]["vectors"][name]), np.array(row), path)
    assert after.keys() == files.keys()
    old = search(world, first.collection, folder / next(iter(files)))
    assert old.exit_code == 5, "the old model must not search the new vectors"
    world.proxy.upstream = other.upstream  # the sidecar that all use is started again with the new model
    assert_searchable(world, first.collection, folder, files)
    by_text = run_command("clip-search", "a drawing", "--collection", first.collection, "--json", env=world.stack.env)
    assert by_text.exit_code == 0 and by_text.rows, by_text


def assert_searchable(world: World, collection: str, folder: Path, files: dict[str, bytes]) -> None:
    """Each picture finds itself, which it would not among the vectors of another model."""
    for path in list(files)[:2]:
        ran = search(world, collection, folder / path)
        assert ran.exit_code == 0, ran
        best: dict[str, Any] = ran.rows[0]
        assert best["path"] == path and best["similarity"] == pytest.approx(1, abs=1e-4)


def search(world: World, collection: str, image: Path) -> Ran:
    return run_command("clip-search", "--image", image, "--collection", collection, "--json", env=world.stack.env)
