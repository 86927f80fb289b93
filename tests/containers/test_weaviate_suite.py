"""Weaviate's own acceptance tests of its multi2vec-clip module, from its published sources, on the sidecar's image."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clip_vectorizer.progress import SILENT
from ingest.embedded.binary import VERSION
from ingest.embedded.build import TOOL_DIR, find_go, read_needed_version
from tests.containers.engine import docker
from tests.stack.support import clean_environment

pytestmark = pytest.mark.containers

SUITE = "TestMulti2VecClip_SingleNode"
PARTS = ("multi2vec-clip", "blob-hash-vectorization", "blob-hash-validation")
CONTAINERS = ("multi2vec-clip", "weaviate-0")  # as its tests name them
SUITE_SECONDS = 3600  # the first time all of Weaviate is compiled


@pytest.fixture
def image_of_512_dimensions(images: tuple[str, str]) -> Iterator[str]:
    """The sidecar's image with a model of the size that the suite expects."""
    name = "clip-test-suite:local"
    lines = f"FROM {images[0]}\nENV CLIP_MODEL=ViT-B-32::random\n"
    subprocess.run(["docker", "build", "--quiet", "--tag", name, "-"], input=lines, text=True, check=True)
    yield name
    docker("rmi", "--force", name)


@pytest.fixture
def its_names() -> Iterator[None]:
    """The suite uses a container that already has one of its names, so there must be none."""
    taken = set(docker("container", "ls", "--all", "--format", "{{.Names}}").stdout.split())
    assert not taken & set(CONTAINERS)
    yield
    docker("rm", "--force", "--volumes", *CONTAINERS, expect=None)


@pytest.mark.usefixtures("its_names")
def test_weaviates_own_suite_passes(image_of_512_dimensions: str, tmp_path: Path) -> None:
    env = clean_environment() | {"TESTCONTAINERS_RYUK_DISABLED": "true", "GOWORK": "off"}
    go = find_go(read_needed_version(TOOL_DIR / "go.mod"), tmp_path / "toolchain", SILENT, os.environ)
    module = f"github.com/weaviate/weaviate@v{VERSION}"
    found = subprocess.run([go, "mod", "download", "-json", module], env=env, capture_output=True, check=True)
    done = subprocess.run(
        [go, "test", "-v", "-count=1", "./test/modules/multi2vec-clip"],
        cwd=json.loads(found.stdout)["Dir"],
        env=env
        | {
            "TEST_WEAVIATE_IMAGE": f"cr.weaviate.io/semitechnologies/weaviate:{VERSION}",
            "TEST_MULTI2VEC_CLIP_IMAGE": image_of_512_dimensions,
        },
        capture_output=True,
        text=True,
        timeout=SUITE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"--- PASS: {SUITE}/{part} " in done.stdout for part in PARTS)
    assert "--- SKIP" not in done.stdout
