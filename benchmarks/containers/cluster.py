"""The cluster of docker/compose.cluster.yaml: searches while a node dies, and two sidecars behind the balancer.

Searches go on without a pause, from several threads of one program, while a node is killed: the leader of Raft, which
is missed most. Images to embed are new each time, so that no cache answers them; the two sidecars and the single one
are measured in turns, on the same cores.
"""

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.common import Figure, Report, Spread, add_json_option, side_by_side
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query import ImageSearch
from tests.containers.cluster import (
    CLUSTER,
    Call,
    CallStream,
    find_balancer_image,
    find_leader,
    killed,
    list_containers,
    make_noise,
)
from tests.containers.engine import Compose, inspect, running
from tests.stack.support import Stack

CLAIM = "A cluster with a dead node, and two sidecars behind the balancer"
TEXTS = ("a red apple", "a dog", "a musical instrument", "a house by the sea")
IMAGES_A_REQUEST = 16
SIDE = 96  # pixels
AFTER_SECONDS = 15.0  # by then the others have a new leader, and the balancer has taken the dead node out


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a round: its name, when it began and ended (monotonic)."""

    name: str
    start: float
    end: float


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Kills; turns of the sidecars.")
@click.option("--seconds", default=20.0, show_default=True, type=click.FloatRange(1), help="Of each phase and turn.")
@click.option("--clients", default=2, show_default=True, type=click.IntRange(1), help="Threads that search or embed.")
@add_json_option
def main(rounds: int, seconds: float, clients: int, json_file: Path | None) -> None:
    """Start a cluster of its own, fill it with the examples, measure, and remove it.

    \b
    Example:
      python -m benchmarks.containers.cluster --rounds 5
    """
    report = Report(CLAIM)
    report.begin()
    find_balancer_image()
    with running(Compose((CLUSTER,))) as compose:
        compose.run("ingest", "/images", "--json")
        report_searches(report, compose, rounds, seconds, clients)
        report_sidecars(report, compose, rounds, seconds, clients)
    report.write(json_file)


def report_searches(report: Report, compose: Compose, rounds: int, seconds: float, clients: int) -> None:
    """p95 before, right after the kill, while the node is dead, and when it is back; and what failed."""
    found = [measure_a_kill(compose, seconds, clients) for _ in range(rounds)]
    names = [phase.name for phase, _ in found[0]]
    p95 = {name: [p95_of(dict_of(one)[name]) for one in found] for name in names}
    for name in names[1:]:
        report.add(side_by_side(f"search, p95 {name}", "ms", p95[names[0]], p95[name], "before"))
    calls = [call for one in found for _, phase in one for call in phase]
    failed = [call.problem for call in calls if call.problem]
    longest = Spread.of([1000 * max(call.seconds for _, phase in one for call in phase) for one in found])
    report.add(Figure("search, the longest", "ms", None, longest, None))
    report.note(f"{len(calls)} searches, {len(failed)} failed {failed[:3] or ''}")


def measure_a_kill(compose: Compose, seconds: float, clients: int) -> list[tuple[Phase, list[Call]]]:
    """The searches of one round by phase."""
    stack = compose.stack()
    phases: list[Phase] = []
    with ExitStack() as opened:
        streams = [opened.enter_context(CallStream(search_in_turns(stack, opened))) for _ in range(clients)]
        add_phase(phases, "before", seconds)
        with killed(list_containers(compose, find_leader(stack))[0]):
            add_phase(phases, "in the 15 s after the kill", AFTER_SECONDS)
            add_phase(phases, "while the node is dead", seconds)
        add_phase(phases, "when it is back", seconds)
    calls = [call for stream in streams for call in stream.calls]
    return [(phase, [call for call in calls if phase.start <= call.start < phase.end]) for phase in phases]


def add_phase(phases: list[Phase], name: str, seconds: float) -> None:
    start = time.monotonic()
    time.sleep(seconds)
    phases.append(Phase(name, start, time.monotonic()))


def search_in_turns(stack: Stack, opened: ExitStack) -> Callable[[], object]:
    """One of TEXTS after the other, by a connection of its own."""
    search = opened.enter_context(
        ImageSearch.connect(stack.weaviate_url, grpc_port=stack.grpc_port, vectorizer_url=stack.vectorizer_url)
    )
    texts = itertools.cycle(TEXTS)
    return lambda: search.by_text(next(texts), limit=10)


def dict_of(phases: Sequence[tuple[Phase, list[Call]]]) -> dict[str, list[Call]]:
    return {phase.name: calls for phase, calls in phases}


def p95_of(calls: Sequence[Call]) -> float:
    """Milliseconds; a failed call counts with the time that it took to fail."""
    return 1000 * float(np.quantile([call.seconds for call in calls], 0.95))


def report_sidecars(report: Report, compose: Compose, rounds: int, seconds: float, clients: int) -> None:
    """Images a second of two sidecars behind the balancer, and of one of them by its own address."""
    balanced = compose.stack().vectorizer_url
    single = f"http://{find_address(list_containers(compose, 'sidecar')[0])}:8080"
    numbers = itertools.count()
    rates: dict[str, list[float]] = {balanced: [], single: []}
    for turn in range(rounds):
        for url in (balanced, single) if turn % 2 else (single, balanced):
            rates[url].append(measure_rate(url, numbers, seconds, clients))
    report.add(
        side_by_side(
            f"images embedded, {clients} clients",
            "images/s",
            rates[single],
            rates[balanced],
            "one sidecar, no balancer",
        )
    )


def find_address(name: str) -> str:
    """The address of a container in its network, which this machine reaches."""
    [network] = inspect("container", name)["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def measure_rate(url: str, numbers: Iterator[int], seconds: float, clients: int) -> float:
    """Images a second, from requests of IMAGES_A_REQUEST images. Raises AssertionError if one fails."""
    with ExitStack() as opened:
        streams = [opened.enter_context(embedding(url, numbers)) for _ in range(clients)]
        time.sleep(seconds)
        end = time.monotonic()
    assert not any(stream.problems for stream in streams), [stream.problems[:1] for stream in streams]
    done = [call for stream in streams for call in stream.calls if call.start + call.seconds <= end]
    return len(done) * IMAGES_A_REQUEST / seconds


@contextmanager
def embedding(url: str, numbers: Iterator[int]) -> Iterator[CallStream]:
    """A client that sends new images without a pause."""
    with VectorizerClient(url) as sidecar:
        calls = CallStream(
            lambda: sidecar.embed_images([make_noise(next(numbers), SIDE) for _ in range(IMAGES_A_REQUEST)])
        )
        with calls:
            yield calls


if __name__ == "__main__":
    main()
