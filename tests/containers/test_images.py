"""What is in the images, and that they run with nothing: no network, no writable root, no rights."""

import json
import tomllib

import pytest

from tests.containers.engine import CLIENT, SIDECAR, docker, inspect, started, wait_for_health
from tests.stack.support import REPOSITORY

pytestmark = [pytest.mark.containers, pytest.mark.usefixtures("images")]

MB = 1_000_000
MOST_MB = {SIDECAR: 900, CLIENT: 220}  # of our layers; the official slim base has some 130 more
BOXED = ("--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt")
NO_NEW_PRIVILEGES = "no-new-privileges:true"
LABELS = ("title", "description", "version", "licenses", "revision", "vendor")
TOOLS = ("gcc", "cc", "g++", "clang", "ld", "make", "uv")
CACHES = "/root/.cache /home/clip/.cache /wheels /build /models"
EMOJI = json.loads((REPOSITORY / "clip_vectorizer" / "models" / "emoji" / "open_clip_config.json").read_text())[
    "model_cfg"
]
VECTORS = """
import json, urllib.request
body = json.dumps({"texts": ["a red apple"]}).encode()
answer = json.load(urllib.request.urlopen("http://127.0.0.1:8080/vectorize", body, timeout=60))
print(json.dumps({"dimension": len(answer["textVectors"][0])}))
"""


def shell(image: str, script: str, *options: str) -> str:
    return docker("run", "--rm", *options, "--entrypoint", "sh", image, "-c", script).stdout


@pytest.mark.parametrize("image", [SIDECAR, CLIENT])
def test_an_image_is_small(image: str) -> None:
    own = own_bytes(image)
    assert own < MOST_MB[image] * MB, f"{image}: {own / MB:.0f} MB on its base image"


def own_bytes(image: str) -> int:
    """The bytes of the layers that are not those of the base image."""
    base = next(
        line for line in (REPOSITORY / "docker" / "Dockerfile").read_text().splitlines() if "ARG PYTHON_" in line
    )
    below = inspect("image", base.partition("=")[2])
    assert inspect("image", image)["RootFS"]["Layers"][: len(below["RootFS"]["Layers"])] == below["RootFS"]["Layers"]
    return int(inspect("image", image)["Size"] - below["Size"])


@pytest.mark.parametrize("image", [SIDECAR, CLIENT])
def test_an_image_says_what_it_is(image: str) -> None:
    labels = inspect("image", image)["Config"]["Labels"]
    assert {f"org.opencontainers.image.{name}" for name in LABELS} <= labels.keys()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert labels["org.opencontainers.image.version"] == project["version"]
    assert labels["org.opencontainers.image.licenses"] == project["license"]


@pytest.mark.parametrize("image", [SIDECAR, CLIENT])
def test_an_image_runs_as_a_user_without_rights(image: str) -> None:
    assert inspect("image", image)["Config"]["User"] == "clip"
    assert shell(image, "id -u; touch /opt/clip-vectorizer/x 2>/dev/null || echo refused").split() == [
        "10001",
        "refused",
    ]


@pytest.mark.parametrize("image", [SIDECAR, CLIENT])
def test_an_image_has_no_build_tools_and_no_caches(image: str) -> None:
    assert not shell(image, f"for tool in {' '.join(TOOLS)}; do command -v $tool; done; true")
    assert not shell(image, f"find {CACHES} -type f 2>/dev/null; true", "--user", "root")


def test_the_image_of_the_commands_has_no_model() -> None:
    packages = shell(CLIENT, "ls /opt/clip-vectorizer/lib/python3*/site-packages")
    assert "weaviate" in packages
    assert "torch" not in packages and "open_clip" not in packages


def test_the_image_for_cpus_has_no_gpu_library() -> None:
    found = shell(
        SIDECAR,
        "find /opt -size +1M \\( -name '*cuda*' -o -name '*cudnn*' -o -name '*cupti*' -o -path '*/nvidia/*' \\)",
    )
    assert not found


@pytest.mark.parametrize("settings", [{}, {"CLIP_PRECISION": "int8"}, {"CLIP_PROCESSES": "2"}])
def test_a_sidecar_needs_no_network_no_rights_and_no_disk(settings: dict[str, str]) -> None:
    given = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    with started(*BOXED, NO_NEW_PRIVILEGES, *given, SIDECAR) as name:
        assert wait_for_health(name) == "healthy", docker("logs", name, expect=None).stderr
        answer = json.loads(docker("exec", name, "python", "-I", "-c", VECTORS).stdout)
        assert answer == {"dimension": EMOJI["embed_dim"]}
        assert docker("stop", "--time", "30", name).exit_code == 0
        assert inspect("container", name)["State"]["ExitCode"] == 0


def test_the_health_check_fails_where_no_model_answers() -> None:
    [check] = [inspect("image", SIDECAR)["Config"]["Healthcheck"]["Test"][1:]]
    ran = docker("run", "--rm", "--network", "none", "--entrypoint", check[0], SIDECAR, *check[1:], expect=None)
    assert ran.exit_code == 1


def test_a_gpu_is_refused_with_a_sentence() -> None:
    ran = docker("run", "--rm", "--env", "ENABLE_CUDA=1", SIDECAR, expect=None)
    assert ran.exit_code not in (0, 139, 134), ran.stderr
    assert "cuda" in ran.stderr.lower() and "Traceback" not in ran.stderr


@pytest.mark.parametrize("command", ["clip-ingest", "clip-search", "clip-classify", "clip-eval"])
def test_every_command_starts_in_the_image_of_the_commands(command: str) -> None:
    shown = docker("run", "--rm", *BOXED, NO_NEW_PRIVILEGES, "--entrypoint", command, CLIENT, "--help").stdout
    assert shown.startswith(f"Usage: {command}")
