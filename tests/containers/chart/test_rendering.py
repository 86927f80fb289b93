"""Helm accepts the chart, Kubernetes' schemas and checks accept what it makes, and all refuse what is wrong."""

import json

import pytest

from tests.containers.chart.releases import CHART, HELM_FOLDER, INGEST, SETTINGS, Release, render
from tests.containers.chart.toolchain import ChartTools

pytestmark = pytest.mark.containers


def find_problems(tools: ChartTools, manifests: str) -> list[str]:
    """The problems that kubeconform reports. Raises AssertionError when it checked none."""
    ran = tools.validate(manifests)
    report = json.loads(ran.stdout)
    assert sum(report["summary"].values()) > 0, ran
    assert report["summary"]["skipped"] == 0
    return [each["msg"] for each in report["resources"] if each["status"] != "statusValid"]


@pytest.mark.parametrize("name", SETTINGS)
def test_helm_has_no_warning(tools: ChartTools, name: str) -> None:
    options = [word for setting in SETTINGS[name] for word in ("--set", setting)]
    ran = tools.run_helm("lint", "--strict", CHART, *options)
    assert "0 chart(s) failed" in ran.stdout
    assert "WARNING" not in ran.stdout + ran.stderr and "level=" not in ran.stderr


@pytest.mark.parametrize("name", SETTINGS)
def test_every_kind_and_field_is_one_of_kubernetes(tools: ChartTools, name: str) -> None:
    assert find_problems(tools, render(tools, *SETTINGS[name]).text) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_an_api_server_would_admit_it(tools: ChartTools, name: str) -> None:
    """By the code of Kubernetes, with the restricted Pod Security Standard."""
    assert tools.admit(render(tools, *SETTINGS[name]).text) == []


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("containerPort: 8080", "containerPort: 80800", "must be between 1 and 65535"),
        ("maxUnavailable: 0", "maxUnavailable: 0\n      maxSurge: 0", "already set"),  # a field twice
        ("{name: tmp, mountPath", "{name: tmpp, mountPath", 'Not found: "tmpp"'),
        ("drop: [ALL]", "drop: []", "unrestricted capabilities"),
        ("type: RuntimeDefault", "type: Unconfined", "seccompProfile"),
        ("restartPolicy: Never", "restartPolicy: OnFailure", 'only "Never" is supported'),
        (
            "app.kubernetes.io/component: sidecar\n      annotations",
            "other: label\n      annotations",
            "does not match template",
        ),
    ],
)
def test_what_an_api_server_would_refuse_is_found(tools: ChartTools, right: str, wrong: str, problem: str) -> None:
    text = render(tools, *SETTINGS["everything"]).text
    assert right in text
    found = tools.admit(text.replace(right, wrong))
    assert found and any(problem in each for each in found), found


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("readinessProbe:", "readynessProbe:", "readynessProbe"),  # an unknown field deep inside
        ("maxUnavailable: 1\n", "maxUnavailable: 1\n  mostUnavailable: 2\n", "mostUnavailable"),
        ("periodSeconds: 5", "periodSeconds: five", "periodSeconds"),  # a wrong type
        ("kind: Deployment", "kind: Deploiment", "could not find schema"),
        ("apiVersion: autoscaling/v2\n", "apiVersion: autoscaling/v2beta2\n", "could not find schema"),
        ("completionMode: Indexed", "completionModus: Indexed", "completionModus"),
        ("      interval: 30s", "      intervall: 30s", "intervall"),  # in the ServiceMonitor
        ("  scaleTargetRef:", "  targetRef:", "scaleTargetRef"),  # one that is required
    ],
)
def test_a_wrong_manifest_is_found(tools: ChartTools, right: str, wrong: str, problem: str) -> None:
    text = render(tools, *SETTINGS["everything"]).text
    assert right in text
    found = find_problems(tools, text.replace(right, wrong))
    assert found and all(problem in each for each in found), found


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (["replica=3"], "additional properties 'replica' not allowed"),
        (["replicas=many"], "/replicas"),
        (["autoscaling.metric=latency"], "/autoscaling/metric"),
        (["env.CLIP_PORT=80"], "/env"),  # the Service and the probes would miss it
        (["env.CLIP_MAX_BATCH=64"], "/env/CLIP_MAX_BATCH"),  # a large number would be written as 1e+06: --set-string
        ([*INGEST, "ingest.args={--shard=1/2}"], "/ingest/args/0"),
        ([*INGEST, "ingest.shards=0"], "/ingest/shards"),
        (["weaviate.url=weaviate:8080"], "/weaviate/url"),
        (["gpu.precision=int8"], "/gpu/precision"),
        (["ingest.enabled=true"], "ingest.claim"),
        (["weaviate.namespace=search"], "weaviate.url"),
    ],
)
def test_wrong_values_are_refused(tools: ChartTools, settings: list[str], problem: str) -> None:
    options = [word for setting in settings for word in ("--set", setting)]
    ran = tools.run_helm("template", "clip-vectorizer", CHART, *options, expect=1)
    assert problem in ran.stderr, ran.stderr
    assert ran.stdout == ""


def test_the_names_of_a_long_release_are_short_enough(tools: ChartTools) -> None:
    """63 characters for the host names of an indexed job's pods, 52 for a CronJob."""
    longest = "a" * 53
    job = render(tools, *INGEST, name=longest)
    cron = render(tools, *INGEST, "ingest.schedule=0 3 * * *", name=longest)
    assert len(job.get("Job")["metadata"]["name"]) + len("-9999") <= 63
    assert len(cron.get("CronJob")["metadata"]["name"]) <= 52
    assert find_problems(tools, job.text) == find_problems(tools, cron.text) == []


def test_a_job_gets_a_new_name_when_it_does_something_else(tools: ChartTools) -> None:
    """A job cannot be changed, and an upgrade of the sidecar should not run it again."""

    def name(*settings: str) -> str:
        return str(render(tools, *INGEST, *settings).get("Job")["metadata"]["name"])

    assert name() == name("replicas=5", "image.tag=new", "autoscaling.enabled=true")
    names = {name(), name("ingest.shards=4"), name("ingest.run=again"), name("ingest.image.tag=new")}
    assert len(names) == 4


@pytest.mark.parametrize("file", ["weaviate.yaml", "weaviate-keys.yaml", "prometheus-adapter.yaml"])
def test_the_values_for_other_charts_are_yaml(file: str) -> None:
    assert Release((HELM_FOLDER / file).read_text("utf-8")).manifests
