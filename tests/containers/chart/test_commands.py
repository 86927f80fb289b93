"""The commands of docs/deploy.md: helm renders what each of them installs, and names in kubectl's exist."""

import json
import re
import shlex
from collections import defaultdict

import pytest

from tests.containers.chart.releases import CHART, HELM_FOLDER, Release
from tests.containers.chart.test_rendering import find_problems
from tests.containers.chart.toolchain import ChartTools
from tests.documents import page
from tests.stack.support import REPOSITORY

pytestmark = pytest.mark.containers

SECTION = page("docs/deploy.md").section("Kubernetes")
OTHER_CHARTS = {"weaviate/weaviate", "prometheus-community/prometheus-adapter"}
UPGRADES = [line for line in SECTION.commands() if line.startswith("helm upgrade")]


@pytest.fixture(scope="module")
def releases(tools: ChartTools) -> dict[str, list[Release]]:
    """Each release of this chart after each command, in order; --reuse-values adds to the ones before."""
    options: dict[str, list[str]] = defaultdict(list)
    rendered: dict[str, list[Release]] = defaultdict(list)
    for line in UPGRADES:
        name, chart, *rest = [word for word in shlex.split(line)[2:] if word not in ("--install", "--reuse-values")]
        if (REPOSITORY / chart) == CHART:
            options[name] = [*options[name], *rest] if "--reuse-values" in line else rest
            rendered[name].append(Release(tools.run_helm("template", name, CHART, *options[name]).stdout))
    return rendered


def test_what_the_commands_install_is_valid(tools: ChartTools, releases: dict[str, list[Release]]) -> None:
    assert set(releases) == {"clip-vectorizer", "clip-vectorizer-b32"}
    assert [find_problems(tools, each.text) for stages in releases.values() for each in stages] == [[]] * 8
    scaled, moved = (stages[-1] for stages in releases.values())
    assert scaled.list_kind("HorizontalPodAutoscaler") and scaled.list_kind("ServiceMonitor")
    assert len({each.get("Deployment")["metadata"]["name"] for each in (scaled, moved)}) == 2
    assert "--reindex" in moved.ingest["args"] and "http://clip-vectorizer-b32:8080" in moved.ingest["args"]


def test_the_commands_for_other_charts_name_files_that_exist() -> None:
    lines = [line for line in UPGRADES if "deploy/helm/clip-vectorizer" not in line]
    assert {word for line in lines for word in line.split() if word in OTHER_CHARTS} == OTHER_CHARTS
    files = {word for line in lines for word in line.split() if word.endswith(".yaml")}
    assert {REPOSITORY / file for file in files} == set(HELM_FOLDER.glob("*.yaml"))


def test_kubectl_is_given_names_that_exist(releases: dict[str, list[Release]]) -> None:
    manifests = [each for stages in releases.values() for release in stages for each in release.manifests]
    names = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in manifests}
    labels = json.dumps([each["metadata"].get("labels", {}) for each in manifests])
    lines = [line for line in SECTION.commands() if line.startswith("kubectl ")]
    assert len(lines) > 4
    for line in lines:
        assert set(re.findall(r"\b(?:deployment|service)/\S+", line)) <= names
        for label, value in re.findall(r"(app\.kubernetes\.io/\w+)=([\w-]+)", line):
            assert f'"{label}": "{value}"' in labels


def test_the_secret_has_what_both_charts_read(releases: dict[str, list[Release]]) -> None:
    [line] = [line for line in SECTION.commands() if line.startswith("kubectl create secret")]
    created = set(re.findall(r"--from-literal=(\w+)=", line))
    read = {key for stages in releases.values() for each in stages for key in re.findall(r"\{key: (\w+),", each.text)}
    files = re.findall(r"cat docker/keys/(\w+)\)", line)
    assert created == read and "create secret generic clip-keys" in line
    assert sorted(files) == ["sidecar_key", "sidecar_login", "weaviate_key"]  # what `make keys` writes
