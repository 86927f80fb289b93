"""What several processes before the model cost and give, where the model costs nothing and HTTP and decoding bind.

Requests a second on one machine, one process against several, in turns. On few cores the client takes its share of
them, so the CPU time of each process is printed too: it shows what one front, and the one process
behind all of them, could do with a core of its own.
"""

import os
import statistics
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from benchmarks.common import Figure, Report, Spread, add_json_option, format_number, side_by_side
from benchmarks.load import drive_load, make_text_bodies
from benchmarks.many_clients import measure_rate
from benchmarks.servers import Server, run_server

CLAIM = "HTTP and decoding in several processes: what they give and what the hand-over costs"
OPEN = "open: the gain on a machine of many cores with a GPU, which this one is not"
TICKS = os.sysconf("SC_CLK_TCK")  # of a second, in which Linux counts
TEXTS = 20_000  # bodies of a round, more than can be answered
Drive = Callable[[Server, float, str], float]  # seconds and a stamp -> answers a second


@dataclass(frozen=True, slots=True)
class Round:
    rate: float  # answers a second
    engine: float  # milliseconds on a core for each answer: the process that batches, or the only one
    fronts: float  # likewise, of all fronts together

    @property
    def cpu(self) -> float:
        return self.engine + self.fronts


@click.command()
@click.option("--processes", default=2, show_default=True, type=click.IntRange(2), help="In front.")
@click.option("--in-flight", default=16, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=2.0, show_default=True, help="For each side in each round.")
@click.option("--pass-milliseconds", default=0.0, show_default=True, help="Of a pass, without the processor.")
@add_json_option
def main(
    processes: int, in_flight: int, rounds: int, seconds: float, pass_milliseconds: float, json_file: Path | None
) -> None:
    """Measure one process against several in front of one, with a model that costs nothing.

    \b
    Example:
      python benchmarks/fronts.py --rounds 3
    """
    report = Report(CLAIM)
    report.begin()
    pass_seconds = pass_milliseconds / 1000
    with serve_without_model(1, pass_seconds) as one, serve_without_model(processes, pass_seconds) as several:
        for what, load in (("images", partial(make_pictures, in_flight)), ("texts", partial(make_texts, in_flight))):
            pairs = [
                (
                    measure_round(one, load, seconds, f"{place}-one"),
                    measure_round(several, load, seconds, f"{place}-several"),
                )
                for place in range(rounds)
            ]
            print_rounds(report, what, processes, [each[0] for each in pairs], [each[1] for each in pairs])
    report.note(OPEN)
    report.write(json_file)


@contextmanager
def serve_without_model(processes: int, pass_seconds: float) -> Iterator[Server]:
    words = (sys.executable, "-c", f"from benchmarks.no_model import main; main(PORT, {pass_seconds})")
    environment: Mapping[str, str] = {"CLIP_PROCESSES": str(processes), "PYTHONPATH": str(Path(__file__).parents[1])}
    with run_server(f"{processes} in front", words, env=environment) as server:
        yield server


def make_pictures(in_flight: int, server: Server, seconds: float, stamp: str) -> float:
    """Photographs of 640 x 480, one a request, from clients in processes of their own."""
    return measure_rate(server.url, in_flight, seconds, stamp)


def make_texts(in_flight: int, server: Server, seconds: float, stamp: str) -> float:
    bodies = make_text_bodies(f"{stamp} a photograph of {place} apples" for place in range(TEXTS))
    return drive_load(server.url, bodies, in_flight, seconds, distinct=False).rate


def measure_round(server: Server, load: Drive, seconds: float, stamp: str) -> Round:
    """Processor time is of the whole load, its warm-up included, so answers are counted by the server too."""
    before, fronts = count_answers(server), list_children(server.pid)
    spent = -read_cpu_seconds([server.pid]), -read_cpu_seconds(fronts)
    rate = load(server, seconds, stamp)
    spent = spent[0] + read_cpu_seconds([server.pid]), spent[1] + read_cpu_seconds(fronts)
    count = count_answers(server) - before
    return Round(rate, spent[0] * 1000 / count, spent[1] * 1000 / count)


def count_answers(server: Server) -> int:
    with urllib.request.urlopen(f"{server.url}/metrics") as response:
        lines = response.read().decode().splitlines()
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith('clip_requests_total{route="/vec')))


def list_children(pid: int) -> list[int]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(each) for each in done.stdout.split()]


def read_cpu_seconds(pids: Sequence[int]) -> float:
    """On a core, in the process and for it in the kernel: fields 14 and 15 of /proc/PID/stat (proc(5))."""
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids)
    return sum(int(each[11]) + int(each[12]) for each in stats) / TICKS


def print_rounds(report: Report, what: str, processes: int, one: Sequence[Round], several: Sequence[Round]) -> None:
    unit = f"{what}/s"
    rates = [each.rate for each in one], [each.rate for each in several]
    report.add(side_by_side(f"{processes} processes in front", unit, *rates, against="one process"))
    report.add(Figure(f"{what}, one process on a core", "ms", None, Spread.of([each.cpu for each in one]), None))
    report.add(Figure(f"{what}, fronts on a core", "ms", None, Spread.of([each.fronts for each in several]), None))
    report.add(Figure(f"{what}, engine on a core", "ms", None, engine := Spread.of([e.engine for e in several]), None))
    more = [mine.cpu - theirs.cpu for mine, theirs in zip(several, one, strict=True)]
    report.add(Figure(f"{what}, hand-over: all processes less the one", "ms", None, Spread.of(more), None))
    front = 1000 / statistics.median(each.fronts for each in several)
    report.note(
        f"with a core each: {format_number(front)} {unit} a front, {format_number(1000 / engine.median)} the engine"
    )


if __name__ == "__main__":
    main()
