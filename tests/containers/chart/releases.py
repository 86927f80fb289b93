"""The chart as helm renders it for several sets of values, and its manifests by kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tests.containers.chart.toolchain import ChartTools
from tests.stack.support import REPOSITORY

HELM_FOLDER = REPOSITORY / "deploy" / "helm"
CHART = HELM_FOLDER / "clip-vectorizer"
Manifest = dict[str, Any]

INGEST = ("ingest.enabled=true", "ingest.claim=photos", "ingest.shards=3")
KEYS = ("keys.existingSecret=clip-keys", "serviceMonitor.enabled=true")
SETTINGS: dict[str, tuple[str, ...]] = {
    "defaults": (),
    "ingest": INGEST,
    "keys": (*KEYS, *INGEST),
    "gpu": (
        *("gpu.count=2", "image.tag=gpu", "replicas=4"),
        *("strategy.rollingUpdate.maxSurge=0", "strategy.rollingUpdate.maxUnavailable=1"),
    ),
    "hub": (
        *("model.name=ViT-B-32::openai", "model.download=true", "cache.create=true", "cache.accessMode=ReadWriteMany"),
        *(*KEYS, "keys.hubToken=HUB_TOKEN"),
    ),
    "weights": ("model.name=local-dir:/weights/clip", "model.claim=weights", "cache.claim=models"),
    "cpu": ("autoscaling.enabled=true", "autoscaling.metric=cpu"),
    "buckets": (
        *("ingest.enabled=true", "ingest.sources={s3://photos/2026}", "ingest.environmentSecret=bucket"),
        *("ingest.egress[0].ports[0].port=443", "ingest.schedule=0 3 * * *", "ingest.args={--embed,client,--prune}"),
    ),
    "elsewhere": ("weaviate.url=http://weaviate.search:8080", "weaviate.namespace=search", "service.port=80", *INGEST),
    "everything": (
        *(*INGEST, *KEYS, "keys.hubToken=HUB_TOKEN", "gpu.count=1", "model.download=true", "model.claim=weights"),
        *("cache.create=true", "cache.storageClass=fast", "autoscaling.enabled=true", "env.CLIP_LOG_LEVEL=debug"),
        *("networkPolicy.clients[0].podSelector.matchLabels.app=gallery", "serviceMonitor.labels.release=monitoring"),
        *("podLabels.team=search", "podAnnotations.note=x", "nodeSelector.disk=ssd", "tolerations[0].operator=Exists"),
        *("imagePullSecrets[0].name=registry", "priorityClassName=high", "fullnameOverride=clip"),
        *("serviceAccount.annotations.note=x", "service.annotations.note=x"),
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
        ".matchExpressions[0].key=gpu,"
        "affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]"
        ".matchExpressions[0].operator=Exists",
    ),
    "nothing": (
        *("networkPolicy.enabled=false", "podDisruptionBudget.enabled=false", "model.name=", "keys.weaviate="),
        *("networkPolicy.monitoringNamespace=", "weaviate.url=http://weaviate:8080", "gpu.count=0", "replicas=0"),
    ),
}


@dataclass(frozen=True, slots=True)
class Release:
    """The manifests of one release, as text and parsed."""

    text: str

    @property
    def manifests(self) -> list[Manifest]:
        return parse_manifests(self.text)

    def list_kind(self, kind: str) -> list[Manifest]:
        return [each for each in self.manifests if each["kind"] == kind]

    def get(self, kind: str, ending: str = "") -> Manifest:
        """The one manifest of that kind whose name ends so."""
        [found] = [each for each in self.list_kind(kind) if each["metadata"]["name"].endswith(ending)]
        return found

    def pod_templates(self) -> Iterator[Manifest]:
        """Of the sidecar, and of the ingest if there is one."""
        yield self.get("Deployment")["spec"]["template"]
        yield from (job["template"] for job in self.jobs())

    def jobs(self) -> list[Manifest]:
        """The specifications of jobs, those of a CronJob included."""
        scheduled = [each["spec"]["jobTemplate"]["spec"] for each in self.list_kind("CronJob")]
        return [*(each["spec"] for each in self.list_kind("Job")), *scheduled]

    @property
    def sidecar(self) -> Manifest:
        """The sidecar's container."""
        return get_container(self.get("Deployment")["spec"]["template"])

    @property
    def ingest(self) -> Manifest:
        """The ingest's container."""
        [job] = self.jobs()
        return get_container(job["template"])


@cache
def parse_manifests(text: str) -> list[Manifest]:
    """Each once: there are many tests."""
    return [each for each in yaml.safe_load_all(text) if each]


def get_container(template: Manifest) -> Manifest:
    [container] = template["spec"]["containers"]
    return dict(container)


def get_environment(container: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container.get("env", ())}


@cache
def render(tools: ChartTools, *settings: str, name: str = "clip-vectorizer") -> Release:
    """`helm template NAME CHART --set SETTING ...`."""
    options = [word for setting in settings for word in ("--set", setting)]
    return Release(tools.run_helm("template", name, CHART, *options).stdout)


def selects(labels: Manifest, selector: Manifest) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def get_labels(release: Release) -> dict[str, Manifest]:
    """Labels of the pods: of `sidecar`, and of `ingest` if there is one."""
    return {each["spec"]["containers"][0]["name"]: each["metadata"]["labels"] for each in release.pod_templates()}


def get_probes(release: Release) -> list[Manifest]:
    return [release.sidecar[f"{name}Probe"] for name in ("startup", "readiness", "liveness")]
