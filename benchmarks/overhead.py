"""What our own code costs an image request: parsing, handing over, answering. And which library does each best.

One request at a time, so that nothing waits for another: what is neither decoding nor the model is ours. The server
sends these times in the headers of its responses; the wire is the remaining time that the client waited.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.common import Figure, Report, Spread, add_json_option
from benchmarks.libraries import CANDIDATES, measure_milliseconds
from benchmarks.load import Load, drive_load, make_image_bodies
from benchmarks.model_alone import ModelAlone
from benchmarks.photographs import make_photographs
from benchmarks.protocols import compare_protocols
from benchmarks.servers import MODEL, start_own_server

CLAIM = "our own code for one image request is at most 3 % of the model's time"
OWN = ("parse", "queue", "serialise")
STAGES = ("parse", "decode", "queue", "encode", "serialise", "total")
ALONE = 150  # bodies of a round


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=3.0, show_default=True, help="For each side in each round.")
@click.option("--model", default=MODEL, show_default=True, help="ARCHITECTURE::random.")
@add_json_option
def main(rounds: int, seconds: float, model: str, json_file: Path | None) -> None:
    """Measure our own code against the model, and libraries against each other.

    \b
    Example:
      python benchmarks/overhead.py --rounds 3
    """
    report = Report(CLAIM)
    report.begin()
    with start_own_server("fp32", model) as server, ModelAlone("fp32", model) as alone:
        passes, loads = [], []
        for number in range(rounds):
            bodies = make_image_bodies(make_photographs(ALONE, number * ALONE))
            passes.append(statistics.median(alone.measure("image", 1, seconds)))
            loads.append(drive_load(server.url, bodies, 1, seconds))
    print_overhead(report, passes, loads)
    compare_libraries(report, rounds)
    compare_protocols(report, rounds)
    report.write(json_file)


def print_overhead(report: Report, passes: Sequence[float], loads: Sequence[Load]) -> None:
    """Raises RuntimeError when the server does not time its stages."""
    model = Spread.of(passes)
    for stage in STAGES:
        report.add(Figure(f"{stage}, one request alone", "ms", None, Spread.of(find_stage(loads, stage)), None))
    wire = [load.p50 - total for load, total in zip(loads, find_stage(loads, "total"), strict=True)]
    report.add(Figure("wire and client, one request alone", "ms", None, Spread.of(wire), None))
    own = [sum(each) for each in zip(*(find_stage(loads, stage) for stage in OWN), strict=True)]
    add_share_row(report, "own code (parse, queue, serialise)", model, own, passes, "<= 0.03")
    whole = [
        total - decode - encode
        for total, decode, encode in zip(
            *(find_stage(loads, each) for each in ("total", "decode", "encode")), strict=True
        )
    ]
    add_share_row(report, "all but decoding and the model, inside the server", model, whole, passes, "")


def find_stage(loads: Sequence[Load], stage: str) -> list[float]:
    """The median of each round, milliseconds."""
    values = [load.header(f"x-{stage}-time") for load in loads]
    if not all(values):
        raise RuntimeError(f"the server sends no x-{stage}-time header; it must be of this project's version")
    return [statistics.median(each) for each in values]


def add_share_row(
    report: Report, what: str, model: Spread, own: Sequence[float], passes: Sequence[float], target: str
) -> None:
    shares = [mine / other for mine, other in zip(own, passes, strict=True)]
    report.add(Figure(what, "ms", model, Spread.of(own), Spread.of(shares), "model at batch 1", target))


def compare_libraries(report: Report, rounds: int) -> None:
    """Every way of each step in turns; the ratio is to the standard library's."""
    for step, ways in CANDIDATES.items():
        times = {name: list[float]() for name in ways}
        for _ in range(rounds):
            for name, make in ways.items():
                times[name].append(measure_milliseconds(make))
        first, *others = (name for name in ways if times[name])
        for name in others:
            ratios = [mine / other for mine, other in zip(times[name], times[first], strict=True)]
            spreads = Spread.of(times[first]), Spread.of(times[name]), Spread.of(ratios)
            report.add(Figure(f"{step}: {name}", "ms", *spreads, against=first))


if __name__ == "__main__":
    main()
