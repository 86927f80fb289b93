"""helm, kubeconform and Kubernetes' own checks, built once from Go modules into the user's cache, and its schemas.

Versions and checksums are in the files go.mod and go.sum of tools/ and admission/. The schemas come from the OpenAPI
description in the Go module of Kubernetes and from the ServiceMonitor's definition in that of the Prometheus operator;
once they are there, no test needs a network.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from clip_vectorizer.progress import SILENT
from ingest.embedded.binary import get_cache_dir
from ingest.embedded.build import build_go_environment, find_go, read_needed_version
from tests.containers.chart.schemas import build_definition_schemas, build_kind_schemas
from tests.stack.support import Ran

HERE = Path(__file__).parent
TOOLS, ADMISSION = HERE / "tools", HERE / "admission"  # Go modules
HELM, KUBECONFORM, KUBERNETES = "helm.sh/helm/v4", "github.com/yannh/kubeconform", "k8s.io/kubernetes"
OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)
OPENAPI = "api/openapi-spec/swagger.json"
SERVICE_MONITOR = "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml"
BUILD_SECONDS = 3600
RUN_SECONDS = 120


@dataclass(frozen=True, slots=True)
class ChartTools:
    helm: Path
    kubeconform: Path
    admission: Path
    schemas: Path

    def run_helm(self, *words: str | Path, expect: int | None = 0) -> Ran:
        """helm, with settings of its own; with `expect`, holds its exit code to that."""
        return run([self.helm, *words], expect, {"HELM_CONFIG_HOME": "/nonexistent", "HOME": "/nonexistent"})

    def validate(self, manifests: str) -> Ran:
        """Check manifests against Kubernetes' schemas; an unknown kind or field is an error."""
        location = f"{self.schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        words = [self.kubeconform, "-strict", "-summary", "-output", "json", "-schema-location", location]
        return run(words, None, {}, manifests)

    def admit(self, manifests: str) -> list[str]:
        """Why an API server would refuse the manifests."""
        return run([self.admission], 0, {}, manifests).stdout.splitlines()


def run(words: list[str | Path], expect: int | None, env: dict[str, str], stdin: str = "") -> Ran:
    done = subprocess.run(
        words, input=stdin, env=os.environ | env, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if expect is not None:
        assert done.returncode == expect, f"{words} ended {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return Ran(done.returncode, done.stdout, done.stderr)


def prepare_tools() -> ChartTools:
    """Build what is missing; the first time takes some minutes."""
    versions = read_versions(TOOLS) | read_versions(ADMISSION)
    kubernetes = f"kubernetes-{versions[KUBERNETES]}"
    programs = build_once(f"helm-{versions[HELM]}-kubeconform-{versions[KUBECONFORM]}", build_programs)
    admission = build_once(f"{kubernetes}-admission-{hash_file('admission/main.go')}", build_admission)
    schemas = build_once(f"{kubernetes}-operator-{OPERATOR[1]}-{hash_file('schemas.py')}", write_schemas)
    return ChartTools(programs / "helm", programs / "kubeconform", admission / "admission", schemas)


def read_versions(module: Path) -> dict[str, str]:
    lines = (module / "go.mod").read_text("utf-8").splitlines()
    return {words[0]: words[1] for line in lines if len(words := line.removeprefix("require").split()) >= 2}


def hash_file(name: str) -> str:
    return hashlib.sha256((HERE / name).read_bytes()).hexdigest()[:8]


def build_once(name: str, build: Callable[[Path, Path], None]) -> Path:
    """A folder of the cache; `build` fills it, under another name first, so that none is there by halves."""
    cache = get_cache_dir() / "tools"
    target, started = cache / name, cache / f"{name}.{os.getpid()}"
    if not target.is_dir():
        started.mkdir(parents=True)
        try:
            build(started, cache / "build")
            if not target.is_dir():  # another run may have been faster
                started.rename(target)
        finally:
            shutil.rmtree(started, ignore_errors=True)
    return target


def build_programs(target: Path, work: Path) -> None:
    run_go(["install", "-ldflags", "-s -w", "tool"], TOOLS, work, GOBIN=str(target))


def build_admission(target: Path, work: Path) -> None:
    run_go(["build", "-ldflags", "-s -w", "-o", target / "admission", "."], ADMISSION, work)


def write_schemas(target: Path, work: Path) -> None:
    sources = json.loads(run_go(["mod", "download", "-json", KUBERNETES], ADMISSION, work))
    openapi = json.loads((Path(sources["Dir"]) / OPENAPI).read_text("utf-8"))
    definition = yaml.safe_load((download_operator(work) / SERVICE_MONITOR).read_text("utf-8"))
    for name, schema in {**build_kind_schemas(openapi), **build_definition_schemas(definition)}.items():
        (target / f"{name}.json").write_text(json.dumps(schema), "utf-8")


def download_operator(work: Path) -> Path:
    """The folder of its sources. Nothing of it is built, so no go.mod has its checksum."""
    path, version, checksum = OPERATOR
    found = json.loads(run_go(["mod", "download", "-json", f"{path}@{version}"], HERE, work))
    assert found["Sum"] == checksum, f"{path}@{version} is {found['Sum']}, expected {checksum}"
    return Path(found["Dir"])


def run_go(words: list[str | Path], folder: Path, work: Path, **environment: str) -> str:
    """What `go WORDS` prints: the Go on PATH, else one from the package index."""
    work.mkdir(parents=True, exist_ok=True)
    go = find_go(read_needed_version(TOOLS / "go.mod"), work / "toolchain", SILENT, os.environ)
    env = build_go_environment(os.environ, work, private=go.is_relative_to(work)) | environment
    done = subprocess.run(
        [go, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, f"go {words} ended {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
