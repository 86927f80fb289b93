"""Docker as the container tests use it: its commands, images and compose stacks of their own."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.stack.support import REPOSITORY, Ran, Stack, clean_environment

COMPOSE = REPOSITORY / "docker" / "compose.yaml"
IMAGES = {  # set other names to test two work trees on one engine
    name: os.environ.get(name, f"{image}:local")
    for name, image in (("VECTORIZER_IMAGE", "clip-vectorizer"), ("INGEST_IMAGE", "clip-ingest"))
}
SIDECAR, CLIENT = IMAGES.values()
PROMETHEUS = os.environ.get("PROMETHEUS_IMAGE", "clip-test-prometheus:debian")  # unless set, built from packages
PORTS = ("VECTORIZER_PORT", "WEAVIATE_PORT", "WEAVIATE_GRPC_PORT", "PROMETHEUS_PORT", "GRAFANA_PORT", "GALLERY_PORT")
BUILD_SECONDS = 3600  # PyTorch is a large download
START_SECONDS = 600
COMMAND_SECONDS = 300


def docker(
    *words: str | Path, env: dict[str, str] | None = None, seconds: float = COMMAND_SECONDS, expect: int | None = 0
) -> Ran:
    """One docker command, with no settings of the developer's; with `expect`, holds its exit code to that."""
    done = subprocess.run(
        ["docker", *map(str, words)],
        env=clean_environment() | (env or {}),
        capture_output=True,
        text=True,
        timeout=seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if expect is not None:
        assert done.returncode == expect, f"docker {words} ended {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return Ran(done.returncode, done.stdout, done.stderr)


def inspect(kind: str, name: str) -> dict[str, Any]:
    [found] = json.loads(docker(kind, "inspect", name).stdout)
    return dict(found)


@dataclass(frozen=True, slots=True)
class Compose:
    """One project of compose, with ports that are free; every instance has containers and volumes of its own."""

    files: Sequence[Path] = (COMPOSE,)
    settings: dict[str, str] = field(default_factory=dict)
    project: str = field(default_factory=lambda: f"clip-test-{uuid4().hex[:8]}")

    @property
    def env(self) -> dict[str, str]:
        own = {"COMPOSE_PROJECT_NAME": self.project, "PROMETHEUS_IMAGE": PROMETHEUS}
        return {**own, **IMAGES, **dict.fromkeys(PORTS, "0"), **self.settings}

    def __call__(self, *words: str | Path, seconds: float = COMMAND_SECONDS, expect: int | None = 0) -> Ran:
        return docker(*self.words(*words)[1:], env=self.env, seconds=seconds, expect=expect)

    def words(self, *words: str | Path) -> list[str]:
        """The command line."""
        return ["docker", "compose", *(word for file in self.files for word in ("-f", str(file))), *map(str, words)]

    def run(self, service: str, *words: str | Path, options: Sequence[str] = (), expect: int | None = 0) -> Ran:
        """`docker compose run --rm SERVICE WORDS`, without a terminal."""
        return self("run", "--rm", "-T", "--quiet-pull", *options, service, *words, expect=expect)

    def port(self, service: str, port: int) -> str:
        """Where a service's port is published: `127.0.0.1:32768`."""
        return self("port", service, str(port)).stdout.strip()

    def stack(self, api_key: str | None = None) -> Stack:
        weaviate, grpc = self.port("weaviate", 8080), self.port("weaviate", 50051)
        sidecar = self.port("vectorizer", 8080)
        return Stack(f"http://{weaviate}", int(grpc.rpartition(":")[2]), api_key, f"http://{sidecar}")

    def config(self) -> dict[str, Any]:
        """The configuration as compose understands it, the services of all profiles included."""
        return dict(json.loads(self("--profile", "*", "config", "--format", "json").stdout))

    def container(self, service: str) -> dict[str, Any]:
        return inspect("container", self("ps", "--all", "--quiet", service).stdout.strip())


@contextmanager
def running(compose: Compose, *services: str) -> Iterator[Compose]:
    """The stack, or some of its services, up and healthy; with its volumes removed afterwards."""
    try:
        compose("up", "--detach", "--wait", *services, seconds=START_SECONDS)
        yield compose
    except AssertionError:
        os.write(2, compose("logs", "--tail", "50", expect=None).stdout.encode())
        raise
    finally:
        compose("--profile", "*", "down", "--volumes", "--timeout", "10", expect=None)


@contextmanager
def started(*words: str) -> Iterator[str]:
    """The id of a container of `docker run --detach WORDS`, removed afterwards."""
    name = docker("run", "--detach", *words).stdout.strip()
    try:
        yield name
    finally:
        docker("rm", "--force", "--volumes", name, expect=None)


def wait_for_health(name: str, seconds: float = START_SECONDS) -> str:
    """`healthy`, or what a container was after `seconds` or when it ended."""
    end = time.monotonic() + seconds
    while True:
        state = inspect("container", name)["State"]
        health = str(state["Health"]["Status"])
        if health != "starting" or not state["Running"] or time.monotonic() > end:
            return health
        time.sleep(1)
