"""Rates of all sides, measured in turns: in each round every side gets the same items under the same loads."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field

import click

from benchmarks.common import Report
from benchmarks.peers.environments import PeerUnavailable
from benchmarks.peers.memory import read_megabytes
from benchmarks.peers.sides import Kind, PeerSide
from benchmarks.peers.turns import stopped_between_turns, turn
from benchmarks.peers.vectors import SampleVectors, check_cosine, embed_samples

IN_FLIGHT = (1, 8, 64)
UNITS: dict[Kind, str] = {"image": "images/s", "text": "texts/s"}
SAMPLES = 8  # of each kind, whose vectors are compared


@dataclass(frozen=True, slots=True)
class LoadKind:
    kind: Kind
    in_flight: int

    def __str__(self) -> str:
        return f"{UNITS[self.kind]}, {self.in_flight} in flight"


LOADS = tuple(LoadKind(kind, in_flight) for kind in UNITS for in_flight in IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class RoundPlan:
    items: Mapping[Kind, Sequence[str]]  # all different
    rounds: int
    seconds: float  # of each load of each side


@dataclass(slots=True)
class SideResult:
    name: str
    precision: str
    cosine: float
    rates: dict[LoadKind, list[float]] = field(default_factory=dict)  # one of each round
    megabytes: float = 0.0


@dataclass(frozen=True, slots=True)
class SideStart:
    """A side that has not been started."""

    name: str
    precision: str
    manager: AbstractContextManager[PeerSide]


Pair = tuple[PeerSide, SideResult]


def measure_sides(
    plan: RoundPlan, starts: Sequence[SideStart], reference: SampleVectors, report: Report
) -> list[SideResult]:
    """Start all, check their vectors, measure them in turns. A side that fails becomes a note with the reason."""
    with ExitStack() as stack:
        pairs = [pair for start in starts if (pair := start_checked(stack, plan, start, reference, report))]
        with stopped_between_turns([list_pids(side) for side, _ in pairs]):
            for number in range(plan.rounds):
                first = number % len(pairs) if pairs else 0
                measure_round(plan, number, [*pairs[first:], *pairs[:first]], report)
        for side, result in pairs:
            result.megabytes = read_megabytes(side.pids)
    return [result for _, result in pairs if all(len(result.rates.get(load, ())) == plan.rounds for load in LOADS)]


def start_checked(
    stack: ExitStack, plan: RoundPlan, start: SideStart, reference: SampleVectors, report: Report
) -> Pair | None:
    """Start a side on `stack`, or note why that is impossible."""
    try:
        with ExitStack() as own:
            side = own.enter_context(start.manager)
            cosine = embed_samples(side, choose_samples(plan.items)).compare(reference)
            check_cosine(cosine, start.precision)
            stack.push(own.pop_all())
    except (PeerUnavailable, AssertionError, OSError) as reason:
        report.note(f"{start.name}: {reason}")
        return None
    report.note(f"{start.name}, {start.precision}: least cosine {cosine:.6f} to open_clip's vectors")
    return side, SideResult(start.name, start.precision, cosine)


def choose_samples(items: Mapping[Kind, Sequence[str]]) -> dict[Kind, Sequence[str]]:
    return {kind: those[:SAMPLES] for kind, those in items.items()}


def measure_round(plan: RoundPlan, number: int, pairs: Sequence[Pair], report: Report) -> None:
    """One load after the other, each by all sides in turns."""
    for load, items in list_supplies(plan, number):
        click.echo(f"round {number + 1} of {plan.rounds}: {load}", err=True)
        for side, result in pairs:
            try:
                with turn(list_pids(side)):
                    rate = side.measure(load.kind, items, load.in_flight, plan.seconds)
            except (PeerUnavailable, AssertionError, OSError) as error:
                report.note(f"{result.name}, {load}: {error}")
            else:
                result.rates.setdefault(load, []).append(rate)


def list_pids(side: PeerSide) -> list[int]:
    return [*side.pids, *side.client_pids]


def list_supplies(plan: RoundPlan, number: int) -> Iterator[tuple[LoadKind, Sequence[str]]]:
    """Each load with its items: all of a kind, from another place on in each round."""
    for load in LOADS:
        items = plan.items[load.kind]
        first = number * len(items) // plan.rounds
        yield load, [*items[first:], *items[:first]]
