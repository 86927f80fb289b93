"""Runs of `docker compose run ingest` that go on while services are killed, cut off or replaced."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.containers.engine import CLIENT, COMPOSE, Compose, docker, running, wait_for_health
from tests.stack.faults.database import assert_holds, count
from tests.stack.faults.pictures import write
from tests.stack.support import Ran, Stack, clean_environment

MANY = 120  # pictures: an ingest of some seconds, which can be hit in the middle
COLLECTION = "Image"
DONE_SECONDS = 300.0  # no ingest here takes a third of that; a hang must end


def write_album(folder: Path, files: dict[str, bytes]) -> Path:
    """The files where the user of a container may read them."""
    write(folder, files)
    for each in (folder, *folder.parents):
        with suppress(PermissionError):  # above the folders of the test
            each.chmod(each.stat().st_mode | 0o055)
    for each in folder.rglob("*"):
        each.chmod(0o755 if each.is_dir() else 0o644)
    return folder


@dataclass
class IngestRun:
    """One command line in the container of the service `ingest`, started and left to itself."""

    compose: Compose
    folder: Path  # for its output
    words: tuple[str, ...] = ("/images",)
    options: tuple[str, ...] = ()  # of `docker compose run`
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self, *more: str) -> "IngestRun":
        """Waits for the services, as `docker compose run` does, and starts."""
        line = self.compose.words("run", "--rm", "-T", *self.options, "ingest", *self.words, *more, "--json")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            env = clean_environment() | self.compose.env
            self._process = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)
        return self

    @property
    def _out(self) -> Path:
        return self.folder / "stdout"

    @property
    def _err(self) -> Path:
        return self.folder / "stderr"

    @property
    def talk(self) -> str:
        return self._err.read_text(errors="replace")

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process

    def until(self, condition: Callable[[], bool], what: str) -> "IngestRun":
        """Returns when `condition` is true; that the run ends or hangs before is an error of the test."""
        deadline = time.monotonic() + DONE_SECONDS
        while not condition():
            code = self.process.poll()
            assert code is None, f"ended {code} before {what}:\n{self._out.read_text()}\n{self.talk}"
            assert time.monotonic() < deadline, f"{what} never came:\n{self.talk}"
            time.sleep(0.05)
        return self

    def until_stored(self, number: int) -> "IngestRun":
        stack = self.compose.stack()
        return self.until(lambda: count(stack, COLLECTION) >= number, f"{number} objects were stored")

    def done(self, expect: int = 0, seconds: float = DONE_SECONDS) -> dict[str, Any]:
        """The summary, after it ended with `expect`. A traceback is an error in any case."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            raise AssertionError(f"still runs after {seconds:g} s:\n{self.talk}") from None
        ran = Ran(code, self._out.read_text(), self.talk)
        assert code == expect and "Traceback" not in ran.stderr, f"ended {code}:\n{ran.stdout}\n{ran.stderr}"
        [summary] = ran.rows
        return summary

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()


def assert_all_in(compose: Compose, files: dict[str, bytes], summary: dict[str, Any] | None = None) -> None:
    """Every picture is in the database once, with its own vector, and found by both indexes."""
    if summary is not None:
        assert (summary["seen"], summary["failed"]) == (len(files), 0), summary
    assert_holds(compose.stack(), COLLECTION, files)


def crash(compose: Compose, service: str) -> None:
    """Kills a service's process as the kernel does. Unlike `docker kill`, which counts as a stop by hand."""
    pid = compose.container(service)["State"]["Pid"]
    killer = ("--rm", "--pid", "host", "--network", "none", "--user", "root", "--entrypoint", "sh", CLIENT)
    docker("run", *killer, "-c", f"kill -9 {pid}")


def wait_until_healthy(compose: Compose, service: str) -> None:
    assert wait_for_health(compose.container(service)["Id"]) == "healthy", compose("logs", service).stdout[-2000:]


@contextmanager
def slowed(compose: Compose, service: str, cores: float = 0.2) -> Iterator[None]:
    """The service has a part of a core: a fault can meet an ingest in the middle, however fast the machine is."""
    container = compose.container(service)["Id"]
    all_cores = docker("info", "--format", "{{.NCPU}}").stdout.strip()
    docker("update", "--cpus", str(cores), container)
    try:
        yield
    finally:
        docker("update", "--cpus", all_cores, container)


@contextmanager
def cut_off(compose: Compose, service: str) -> Iterator[None]:
    """The service is in no network: its packets and those for it are lost, and its name is unknown."""
    container = compose.container(service)
    [network] = container["NetworkSettings"]["Networks"]
    docker("network", "disconnect", network, container["Id"])
    try:
        yield
    finally:
        docker("network", "connect", "--alias", service, network, container["Id"])


def near_text(stack: Stack, text: str, vector: str = "", seconds: float = 60) -> tuple[list[str], str]:
    """The paths that Weaviate finds for a text, and the error in their place; one of the two is empty.

    `vector`: the name of one of several vectors.
    """
    target = f', targetVectors: ["{vector}"]' if vector else ""
    near = f'nearText: {{concepts: ["{text}"]{target}}}, limit: 3'
    body = {"query": f"{{ Get {{ {COLLECTION}({near}) {{ path }} }} }}"}
    try:
        answer = httpx.post(f"{stack.weaviate_url}/v1/graphql", json=body, timeout=seconds, trust_env=False).json()
    except httpx.HTTPError as error:
        return [], f"{type(error).__name__}: {error}"
    if errors := answer.get("errors"):
        return [], str(errors[0]["message"])
    return [row["path"] for row in answer["data"]["Get"][COLLECTION]], ""


@contextmanager
def running_over(folder: Path, overlay: str, files: dict[str, bytes]) -> Iterator[Compose]:
    """docker/compose.yaml with a file of compose more, `overlay`, and an album of `files` as its images."""
    more = folder / "overlay.yaml"
    more.write_text(overlay)
    pictures = write_album(folder / "pictures", files)
    with running(Compose((COMPOSE, more), {"IMAGES": str(pictures)})) as compose:
        yield compose
