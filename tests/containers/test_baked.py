"""A model that is put into the image at build time: served offline, and not hidden by another image's volume."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.containers.engine import BUILD_SECONDS, docker, inspect, started, wait_for_health
from tests.models.hub_server import running_hub
from tests.models.small import random_clip, save_folder
from tests.stack.support import REPOSITORY

pytestmark = pytest.mark.containers

MODEL = "hf-hub:org/small"
META = """
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8080/meta", timeout=60).read().decode())
"""


@pytest.fixture(scope="module")
def baked(images: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    tag = f"clip-vectorizer:baked-{uuid4().hex[:8]}"
    with running_hub() as hub:
        for file in save_folder(random_clip(), tmp_path_factory.mktemp("small")).iterdir():
            hub.add(MODEL.removeprefix("hf-hub:"), file.name, file.read_bytes())
        given = (f"BAKE_MODEL={MODEL}", f"HF_ENDPOINT={hub.url}")
        arguments = [word for each in given for word in ("--build-arg", each)]
        dockerfile = REPOSITORY / "docker" / "Dockerfile"
        command = ("build", "--network", "host", *arguments, "--file", dockerfile, "--tag", tag, REPOSITORY)
        docker(*command, seconds=BUILD_SECONDS)
        assert hub.fetched()
    yield tag
    docker("image", "rm", "--force", tag, expect=None)


def test_a_baked_model_is_served_without_a_network(baked: str) -> None:
    volume = f"clip-test-{uuid4().hex[:8]}"
    boxed = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--volume", f"{volume}:/home/clip/.cache")
    docker("volume", "create", volume)
    with started(*boxed, baked) as name:
        assert wait_for_health(name) == "healthy", docker("logs", name, expect=None).stderr
        assert MODEL in json.dumps(json.loads(docker("exec", name, "python", "-I", "-c", META).stdout))
    docker("volume", "rm", volume)


def test_the_address_of_the_hub_is_not_in_the_image(baked: str) -> None:
    assert not [line for line in inspect("image", baked)["Config"]["Env"] if "HF_ENDPOINT" in line]


def test_a_model_that_does_not_exist_ends_the_build() -> None:
    arguments = ("--build-arg", "BAKE_MODEL=no-such-model", "--file", REPOSITORY / "docker" / "Dockerfile")
    ran = docker("build", *arguments, REPOSITORY, seconds=BUILD_SECONDS, expect=None)
    assert ran.exit_code != 0 and "no-such-model" in ran.stderr
