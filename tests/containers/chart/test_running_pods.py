"""The pods that the chart describes, run as a node would run them, but by Docker: no cluster is needed.

Each container gets what is in its manifest: user, capabilities, read-only root, volumes, limits, variables, command.
"""

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.containers.chart.releases import INGEST, KEYS, Manifest, Release, get_environment, get_probes, render
from tests.containers.chart.toolchain import ChartTools
from tests.containers.engine import COMMAND_SECONDS, Compose, docker, inspect, running, started
from tests.stack.support import EXAMPLES, Stack, http

pytestmark = pytest.mark.containers

WEAVIATE = ("weaviate.url=http://weaviate:8080", "keys.weaviate=")  # that of compose, which needs no key
KEY = "of-a-test"
READY_SECONDS = 120


@pytest.fixture(scope="module")
def release(tools: ChartTools, images: tuple[str, str]) -> Release:
    sidecar, client = (image.rpartition(":") for image in images)
    names = (
        *(f"image.repository={sidecar[0]}", f"image.tag={sidecar[2]}"),
        *(f"ingest.image.repository={client[0]}", f"ingest.image.tag={client[2]}"),
    )
    return render(tools, *KEYS, *INGEST, *WEAVIATE, *names)


@pytest.fixture(scope="module")
def compose(images: tuple[str, str]) -> Iterator[Compose]:
    with running(Compose()) as compose:
        yield compose


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders in the place of the volumes that are neither empty nor in memory."""
    keys = tmp_path_factory.mktemp("volumes") / "keys"
    keys.mkdir(mode=0o755)
    (keys / "SIDECAR_KEY").write_text(f"{KEY}\n")
    (keys / "SIDECAR_LOGIN").write_text("weaviate:password\n")
    return {"keys": keys, "images": EXAMPLES}


@pytest.fixture(scope="module")
def sidecar(release: Release, compose: Compose, volumes: dict[str, Path]) -> Iterator[str]:
    """The container of the sidecar's pod, under the name of its Service."""
    name = release.list_kind("Service")[0]["metadata"]["name"]
    network = ("--network", f"{compose.project}_default", "--network-alias", name, "--publish", "127.0.0.1::8080")
    template = release.get("Deployment")["spec"]["template"]
    with started(*network, *build_options(template, volumes)) as container:
        yield container


def build_options(template: Manifest, volumes: dict[str, Path], **environment: str) -> list[str]:
    """The words after `docker run` for the container of a pod. `environment`: what Kubernetes adds."""
    pod, [container] = template["spec"], template["spec"]["containers"]
    security, limits = pod["securityContext"], container["resources"]["limits"]
    options = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    options += ["--user", f"{security['runAsUser']}:{security['runAsGroup']}"]
    options += ["--memory", limits["memory"].removesuffix("i"), "--cpus", str(limits.get("cpu", 2))]
    for name, value in {**get_environment(container), **environment}.items():
        options += ["--env", f"{name}={value}"]
    for mount in container["volumeMounts"]:
        folder = volumes.get(mount["name"])
        options += ["--volume", f"{folder}:{mount['mountPath']}:ro"] if folder else ["--tmpfs", mount["mountPath"]]
    program, *words = container.get("command", [""])
    options += ["--entrypoint", program] if program else []
    return [*options, container["image"], *words, *container.get("args", ())]


def call(container: str, path: str, key: str = "") -> int:
    """The status of a request to the published port; 0 while nothing answers."""
    [binding] = inspect("container", container)["NetworkSettings"]["Ports"]["8080/tcp"]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return http("GET", f"http://127.0.0.1:{binding['HostPort']}{path}", headers=headers).status_code


def wait_until_ready(container: str) -> None:
    """By the image's own health check, which Kubernetes does not use, so that the probes are checked afterwards."""
    script = f"for i in $(seq {READY_SECONDS}); do {HEALTH} && exit 0; sleep 1; done; exit 1"
    docker("exec", container, "sh", "-c", script, seconds=COMMAND_SECONDS)


HEALTH = shlex.join(
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/.well-known/ready')"]
)


def test_the_sidecar_s_pod_gets_ready_and_requires_a_key(release: Release, sidecar: str) -> None:
    wait_until_ready(sidecar)
    assert [call(sidecar, probe["httpGet"]["path"]) for probe in get_probes(release)] == [204, 204, 204]
    assert [call(sidecar, "/metrics", key) for key in ("", "wrong", KEY)] == [401, 401, 200]
    assert "error" not in docker("logs", sidecar).stderr


def test_the_shards_of_the_job_fill_weaviate_together(
    release: Release, compose: Compose, sidecar: str, volumes: dict[str, Path]
) -> None:
    wait_until_ready(sidecar)
    [job] = release.jobs()
    network = ("--network", f"{compose.project}_default")
    with ExitStack() as pods:
        containers = [
            pods.enter_context(
                started(*network, *build_options(job["template"], volumes, JOB_COMPLETION_INDEX=str(index)))
            )
            for index in range(job["completions"])
        ]
        codes = [docker("wait", container).stdout.strip() for container in containers]
        logs = [docker("logs", container).stderr for container in containers]
    assert codes == ["0", "0", "0"], logs
    assert count_objects(compose.stack()) == len(list(EXAMPLES.rglob("*.png")))


def count_objects(stack: Stack) -> int:
    query = {"query": "{ Aggregate { Image { meta { count } } } }"}
    return int(stack.weaviate("POST", "/v1/graphql", query).json()["data"]["Aggregate"]["Image"][0]["meta"]["count"])


def test_the_sidecar_s_pod_ends_well_before_it_would_be_killed(release: Release, sidecar: str) -> None:
    wait_until_ready(sidecar)
    seconds = release.get("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    docker("stop", "--time", str(seconds), sidecar, seconds=seconds + COMMAND_SECONDS)
    assert inspect("container", sidecar)["State"]["ExitCode"] == 0
