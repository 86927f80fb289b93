"""docker/compose.cluster.yaml in tests and benchmarks: its balancer's image, its nodes, and calls without a pause."""

import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from tests.containers.engine import COMPOSE, Compose, docker, inspect, wait_for_health
from tests.stack.support import REPOSITORY, Stack

CLUSTER = COMPOSE.with_name("compose.cluster.yaml")
BALANCERS = COMPOSE.parent / "balancer"
STAND_IN = REPOSITORY / "tests" / "containers" / "haproxy"
NODES = ("node-1", "node-2", "node-3")


def find_balancer_image() -> str:
    """The name of the balancer's image, which is pulled, or built as its stand-in where that is impossible."""
    [default] = re.findall(r"BALANCER_IMAGE:-([^}]+)}", CLUSTER.read_text())
    name = os.environ.get("BALANCER_IMAGE", str(default))
    known = docker("image", "inspect", name, expect=None).exit_code == 0
    if not known and docker("pull", "--quiet", name, expect=None).exit_code != 0:
        docker("build", "--tag", name, STAND_IN, seconds=600)
    return name


def query_node(compose: Compose, node: str, query: str) -> dict[str, Any]:
    """The data of a GraphQL query to one node, past the balancer; its port is not published."""
    header = ("--header", "Content-Type: application/json")
    url = "http://127.0.0.1:8080/v1/graphql"
    words = ("wget", "-q", "-O", "-", *header, "--post-data", json.dumps({"query": query}), url)
    answer = json.loads(compose("exec", "-T", node, *words).stdout)
    assert "errors" not in answer, answer["errors"]
    return dict(answer["data"])


def count_objects(compose: Compose, node: str, collection: str) -> int:
    """How many objects one node holds itself: it has a replica of every shard."""
    [row] = query_node(compose, node, f"{{ Aggregate {{ {collection} {{ meta {{ count }} }} }} }}")["Aggregate"][
        collection
    ]
    return int(row["meta"]["count"])


def list_found(compose: Compose, node: str, collection: str, dimension: int, limit: int = 9000) -> set[str]:
    """The paths of all objects that one node's vector index finds."""
    near = f"nearVector: {{vector: {json.dumps([0.1] * dimension)}}}, limit: {limit}"
    rows = query_node(compose, node, f"{{ Get {{ {collection}({near}) {{ path }} }} }}")["Get"][collection]
    return {row["path"] for row in rows}


def find_leader(stack: Stack) -> str:
    """The node that leads in Raft: the most that one dead node can take along."""
    statistics = stack.weaviate("GET", "/v1/cluster/statistics").json()["statistics"]
    [leader] = {each["leaderId"] for each in statistics}
    return str(leader)


@contextmanager
def killed(name: str) -> Iterator[None]:
    """A container, killed without a word, and started and healthy again afterwards."""
    docker("kill", name)
    try:
        yield
    finally:
        docker("start", name)
        assert wait_for_health(name) == "healthy"


def list_containers(compose: Compose, service: str) -> list[str]:
    return compose("ps", "--all", "--quiet", service).stdout.split()


def has_embedded(name: str) -> bool:
    """Whether a sidecar has made a vector since it was started."""
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8080/metrics', timeout=30).read().decode())"
    return "clip_items_total{" in docker("exec", name, "python", "-I", "-c", script).stdout


def is_running(name: str) -> bool:
    return bool(inspect("container", name)["State"]["Running"])


def make_noise(number: int, side: int) -> bytes:
    """A PNG of noise, a different one for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a stream: when it began (monotonic), how long it took, and why it failed."""

    start: float
    seconds: float
    problem: str = ""


@dataclass(slots=True)
class CallStream:
    """Calls of one function, one after the other with a pause between, until it ends. A context manager.

    with CallStream(lambda: search.by_text("a red apple", limit=1)) as stream:
        ...
    assert not stream.problems
    """

    call: Callable[[], object]
    pause_seconds: float = 0.0
    calls: list[Call] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> "CallStream":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    @property
    def problems(self) -> list[str]:
        """Each with the seconds from the first call to it, and those that it took."""
        return [
            f"{call.start - self.calls[0].start:.1f} s, took {call.seconds:.1f} s: {call.problem}"
            for call in self.calls
            if call.problem
        ]

    def since(self, start: float) -> list[Call]:
        """The calls that began at `start` or later."""
        return [call for call in self.calls if call.start >= start]

    def _run(self) -> None:
        while not self._ended.is_set():
            start = time.monotonic()
            try:
                self.call()
                problem = ""
            except Exception as error:  # recorded, whatever it is
                problem = f"{type(error).__name__}: {error}"
            self.calls.append(Call(start, time.monotonic() - start, problem))
            self._ended.wait(self.pause_seconds)
