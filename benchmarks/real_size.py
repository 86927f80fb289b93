"""Models of their real size in the real sidecar: start, memory, images and texts a second, one request alone.

Weights are random, because speed and memory do not depend on them. Each round starts a new server, so that start and
memory have a spread too. Load as Weaviate's: one item a request, all of them different. Memory is Linux's count of the
server's resident pages.
"""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.common import Figure, Report, Spread, add_json_option, format_number
from benchmarks.load import drive_load, make_text_bodies
from benchmarks.many_clients import stamp_picture
from benchmarks.photographs import make_photographs
from benchmarks.servers import start_own_server
from benchmarks.texts import make_caption
from clip_vectorizer.models.facts import read_architectures, read_facts
from clip_vectorizer.server.settings import PRECISIONS

CLAIM = "models of their real size, one sidecar: 640x480 JPEG, one item a request, every item another"
MODELS = ("ViT-L-14::random", "RN50x4::random")
PICTURES = 64  # of other pixels; each request has other bytes, so none is answered from the cache
RESET_PEAK = "5"  # Linux, proc_pid_clear_refs(5): the peak becomes what is resident now
UNITS = {
    "start to ready": "s",
    "memory after start": "MiB",
    "peak memory of the start": "MiB",
    "peak memory under load": "MiB",
    "images": "images/s",
    "texts": "texts/s",
    "one image": "ms, p50",
    "one text": "ms, p50",
}
Facts = Mapping[str, float]  # of one round, by the keys of UNITS


@dataclass(frozen=True, slots=True)
class LoadPlan:
    rounds: int
    seconds: float  # of each of the four loads of a round
    in_flight: int
    precision: str


@click.command()
@click.option("--model", "models", multiple=True, default=MODELS, show_default=True, help="May be given several times.")
@click.option("--precision", default="fp32", show_default=True, type=click.Choice(PRECISIONS))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=20.0, show_default=True, help="For each rate and each latency in each round.")
@click.option("--in-flight", default=8, show_default=True, type=click.IntRange(1), help="Requests at once, of a rate.")
@add_json_option
def main(
    models: tuple[str, ...], precision: str, rounds: int, seconds: float, in_flight: int, json_file: Path | None
) -> None:
    """Serve each model, measure it, and print one table.

    \b
    Example:
      python benchmarks/real_size.py --model emoji --rounds 1 --seconds 3
    """
    report, plan = Report(CLAIM), LoadPlan(rounds, seconds, in_flight, precision)
    parameters = {name: count_parameters(name) for name in models}
    report.begin()
    pictures = make_photographs(PICTURES)
    spreads = {name: measure_model(report, name, plan, pictures) for name in models}
    click.echo("\n" + "\n".join(format_table(spreads, parameters)))
    report.write(json_file)


def count_parameters(model: str) -> int:
    """Return the parameters of `model` as the table of models has them. Raises UsageError for an unknown name."""
    known = {each.name: each.parameters for each in (*read_facts(), *read_architectures())}
    if model not in known:
        raise click.UsageError(f"--model {model}: expected ARCHITECTURE::random or another name of the table of models")
    return known[model]


def measure_model(report: Report, model: str, plan: LoadPlan, pictures: Sequence[bytes]) -> dict[str, Spread]:
    facts = [measure_round(model, plan, pictures, f"{model}-{number}-") for number in range(plan.rounds)]
    spreads = {what: Spread.of([each[what] for each in facts]) for what in UNITS}
    for what, spread in spreads.items():
        report.add(Figure(f"{what}, {model} {plan.precision}", UNITS[what], None, spread, None))
    return spreads


def measure_round(model: str, plan: LoadPlan, pictures: Sequence[bytes], stamp: str) -> Facts:
    """Measure one server from its start to its end."""
    images, texts = stamp_picture(pictures, stamp), make_texts()
    start = time.perf_counter()
    with start_own_server(plan.precision, model) as server:
        ready = time.perf_counter() - start
        resting, first_peak = read_memory(server.pid, "VmRSS"), read_memory(server.pid, "VmHWM")
        reset_peak(server.pid)
        # Pictures repeat in other bytes: their vectors are equal, and rightly so.
        rate = drive_load(server.url, images, plan.in_flight, plan.seconds, distinct=False).rate
        text_rate = drive_load(server.url, texts, plan.in_flight, plan.seconds).rate
        peak = read_memory(server.pid, "VmHWM")
        image_p50 = drive_load(server.url, images, 1, plan.seconds, distinct=False).p50
        text_p50 = drive_load(server.url, texts, 1, plan.seconds).p50
    values = (ready, resting, first_peak, peak, rate, text_rate, image_p50, text_p50)
    return dict(zip(UNITS, values, strict=True))


def make_texts() -> Iterator[bytes]:
    """Yield requests without end; captions past the last get a number, so that all are different."""
    for number in itertools.count():
        yield make_text_bodies([f"{make_caption(number)} {number}"])[0]


def read_memory(pid: int, field: str) -> float:
    """Return a field of memory of a process in MiB: VmRSS is resident now, VmHWM was resident at most."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024  # from kB, which are KiB
    raise RuntimeError(f"/proc/{pid}/status has no {field}; memory is measured on Linux alone")


def reset_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)


def format_table(spreads: Mapping[str, Mapping[str, Spread]], parameters: Mapping[str, int]) -> Iterator[str]:
    """Yield the lines of a Markdown table, one model a row: medians, and the spread of the rounds."""
    heads = [f"{what} ({unit})" for what, unit in UNITS.items()]
    yield f"| model | million parameters | {' | '.join(heads)} |"
    yield f"| --- | --- |{' --- |' * len(heads)}"
    for model, values in spreads.items():
        cells = [str(values[what]) for what in UNITS]
        yield f"| {model} | {format_number(parameters[model] / 1e6)} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
