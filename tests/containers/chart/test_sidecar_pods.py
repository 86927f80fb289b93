"""The sidecar's pods: what selects them, what is set in them, and what they may do."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from clip_vectorizer.server.settings import parse_settings
from clip_vectorizer.server.shutdown import EXIT_GRACE_SECONDS, LEAVE_SECONDS
from tests.containers.chart.releases import (
    CHART,
    INGEST,
    SETTINGS,
    Release,
    get_environment,
    get_labels,
    get_probes,
    render,
    selects,
)
from tests.containers.chart.toolchain import ChartTools
from tests.stack.support import REPOSITORY

pytestmark = pytest.mark.containers

SECRETS = "/run/secrets/clip/"


@pytest.fixture(params=SETTINGS)
def release(request: pytest.FixtureRequest, tools: ChartTools) -> Release:
    return render(tools, *SETTINGS[request.param])


def test_every_selector_selects_the_sidecar_alone(release: Release) -> None:
    labels = get_labels(release)
    deployment = release.get("Deployment")["spec"]
    spread = deployment["template"]["spec"]["topologySpreadConstraints"]
    selectors = [
        deployment["selector"]["matchLabels"],
        release.list_kind("Service")[0]["spec"]["selector"],
        *(each["spec"]["selector"]["matchLabels"] for each in release.list_kind("PodDisruptionBudget")),
        *(each["labelSelector"]["matchLabels"] for each in spread),
    ]
    for selector in selectors:
        assert [name for name, each in labels.items() if selects(each, selector)] == ["sidecar"]


def test_the_ports_agree_with_the_image(release: Release) -> None:
    [port] = re.findall(r"^EXPOSE (\d+)$", (REPOSITORY / "docker" / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    [listening] = release.sidecar["ports"]
    assert listening["containerPort"] == int(port)
    service = release.list_kind("Service")[0]["spec"]
    assert [each["targetPort"] for each in service["ports"]] == [listening["name"]]
    assert {probe["httpGet"]["port"] for probe in get_probes(release)} == {listening["name"]}


def test_the_server_reads_every_variable_that_is_set(release: Release, tmp_path: Path) -> None:
    environment = ReadNames(move_secrets(get_environment(release.sidecar), tmp_path))
    settings = parse_settings(environment)
    unread = environment.keys() - environment.read
    assert unread <= {"HF_HUB_OFFLINE", "HF_TOKEN_PATH", "HOME"}  # huggingface-hub reads these
    assert settings.limits.deadline_seconds == 45
    assert bool(settings.api_keys and settings.basic_auth) == ("CLIP_API_KEYS_FILE" in environment)


class ReadNames(dict[str, str]):
    """An environment that records which variables are read."""

    def __init__(self, values: dict[str, str]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


def move_secrets(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """The environment with its paths of secrets in `folder`, and the files that it names there."""
    moved = {name: value.replace(SECRETS, f"{folder}/") for name, value in environment.items()}
    for value in moved.values():
        if value.startswith(str(folder)):
            Path(value).write_text("user:password\n" if value.endswith("LOGIN") else "key\n")
    return moved


def test_huggingface_hub_reads_the_variables_that_the_chart_sets(tools: ChartTools) -> None:
    from huggingface_hub import constants

    source = Path(constants.__file__).read_text("utf-8")
    sidecar = render(tools, *SETTINGS["hub"]).sidecar
    environment = get_environment(sidecar)
    names = [name for name in environment if name.startswith("HF_")]
    assert names == ["HF_HUB_OFFLINE", "HF_TOKEN_PATH"] and environment["HF_HUB_OFFLINE"] == "0"
    assert all(f'"{name}"' in source for name in names)
    assert f"{environment['HOME']}/.cache" in [each["mountPath"] for each in sidecar["volumeMounts"]]
    assert get_environment(render(tools).sidecar)["HF_HUB_OFFLINE"] == "1"


def test_each_pod_mounts_the_keys_that_it_reads_and_no_other(tools: ChartTools) -> None:
    release = render(tools, *SETTINGS["everything"])
    for template in release.pod_templates():
        [volume] = [each["secret"] for each in template["spec"]["volumes"] if each["name"] == "keys"]
        [container] = template["spec"]["containers"]
        named = [value for value in get_environment(container).values() if value.startswith(SECRETS)]
        assert {SECRETS + each["path"] for each in volume["items"]} == set(named)
        assert volume["secretName"] == "clip-keys" and volume["defaultMode"] & 0o007 == 0


def test_without_a_secret_nothing_names_one(tools: ChartTools) -> None:
    assert not re.search("secret|_FILE", render(tools, *INGEST).text)


def test_pods_may_do_as_little_as_possible(release: Release) -> None:
    """More than the restricted Pod Security Standard, which test_rendering.py checks: a read-only root, no token."""
    for template in release.pod_templates():
        pod, [container] = template["spec"], template["spec"]["containers"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not pod["automountServiceAccountToken"] and not pod["enableServiceLinks"]
        kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "persistentVolumeClaim", "secret"}
        assert "memory" in container["resources"]["limits"]
    assert release.get("ServiceAccount")["automountServiceAccountToken"] is False


def test_every_mount_has_its_volume(release: Release) -> None:
    for template in release.pod_templates():
        [container] = template["spec"]["containers"]
        volumes = {each["name"] for each in template["spec"]["volumes"]}
        assert {each["name"] for each in container["volumeMounts"]} == volumes
    claims = {each["metadata"]["name"] for each in release.list_kind("PersistentVolumeClaim")}
    used = set(re.findall(r"claimName: (\S+?)[,\s}]", release.text))
    assert claims <= used <= claims | {"photos", "weights", "models"}


def test_a_pod_that_stops_has_time_for_its_requests(release: Release) -> None:
    pod = release.get("Deployment")["spec"]["template"]["spec"]
    wait = release.sidecar["lifecycle"]["preStop"]["sleep"]["seconds"]
    deadline = int(get_environment(release.sidecar)["CLIP_DEADLINE_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] > wait + LEAVE_SECONDS + math.ceil(deadline) + EXIT_GRACE_SECONDS


def test_a_model_has_the_time_to_load_that_was_given(tools: ChartTools) -> None:
    release = render(tools, "startupSeconds=1201")
    probe = release.sidecar["startupProbe"]
    assert 1201 <= probe["periodSeconds"] * probe["failureThreshold"] < 1210
    assert release.get("Deployment")["spec"]["progressDeadlineSeconds"] > 1210


def test_a_rollout_starts_a_pod_before_it_stops_one(tools: ChartTools) -> None:
    rolling = render(tools).get("Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize("count", [1, 3])
def test_a_gpu_is_reserved_and_used(tools: ChartTools, count: int) -> None:
    release = render(tools, f"gpu.count={count}", "resources.limits=null")
    assert release.sidecar["resources"]["limits"] == {"nvidia.com/gpu": count}
    settings = parse_settings(get_environment(release.sidecar))
    assert (settings.device, settings.precision) == ("cuda:all", "bf16")
    assert "nvidia" in str(release.get("Deployment")["spec"]["template"]["spec"]["tolerations"])
    assert "nvidia" not in render(tools).text


def test_the_versions_are_the_project_s() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    project = (REPOSITORY / "pyproject.toml").read_text("utf-8")
    assert f'version = "{chart["appVersion"]}"' in project
