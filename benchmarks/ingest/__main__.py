"""How fast `clip-ingest` brings photographs into a Weaviate on this machine: three claims, each side by side.

End to end against what the sidecar alone reaches; against the loop of Weaviate's documentation; and a second run over
files that have not changed. All processes share this machine's cores, so a side that computes more is slower.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.common import Figure, Report, Spread, add_json_option, side_by_side
from benchmarks.ingest.files import fill
from benchmarks.ingest.sides import CLIENT, MODULE, Took, documented, ingest, sidecar_alone, stack
from benchmarks.servers import MODEL
from clip_vectorizer.server.settings import PRECISIONS

CLAIM = "images/s of clip-ingest: JPEGs of 640x480, 1024x768, 1280x960 and 1 % 12-megapixel ones, every file another"
FAST_MODEL = "emoji"  # so small that all but the model can be seen
WAYS = {"--embed client": CLIENT, "module": MODULE}
ALONE, LOOP, AGAIN = "sidecar alone", "documented loop", "files/s, unchanged"
AGAINST_SIDECAR = {"--embed client": ">= 0.9"}
AGAINST_LOOP = {"--embed client": ">= 3"}


@dataclass(frozen=True, slots=True)
class Measured:
    """One of each round, by the name of who was measured."""

    of: dict[str, list[Took]] = field(default_factory=dict)

    def note(self, name: str, took: Took) -> None:
        self.of.setdefault(name, []).append(took)

    def rates(self, name: str) -> list[float]:
        return [took.rate for took in self.of[name]]

    def process_rates(self, name: str) -> list[float]:
        return [took.process_rate for took in self.of[name]]


@click.command()
@click.option("--files", default=2000, show_default=True, type=click.IntRange(100), help=f"With {FAST_MODEL}; in all.")
@click.option("--model-files", default=300, show_default=True, type=click.IntRange(100), help="With --model; in all.")
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(1), help="Each has its part of the files.")
@click.option("--model", default=MODEL, show_default=True, help="ARCHITECTURE::random.")
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), default=("fp32",))
@add_json_option
def main(
    files: int, model_files: int, rounds: int, model: str, precisions: tuple[str, ...], json_file: Path | None
) -> None:
    """Compare `clip-ingest` with the sidecar alone, with the documented loop, and with itself over unchanged files.

    \b
    Example:
      python benchmarks/ingest --files 600 --model-files 200 --precision fp32 --precision int8
    """
    report = Report(CLAIM)
    report.begin()
    with photographs(files, rounds) as folders:
        against_loop(report, folders)
    with photographs(model_files, rounds) as folders:
        for precision in precisions:
            against_sidecar(report, folders, model, precision)
    report.write(json_file)


@contextmanager
def photographs(count: int, rounds: int) -> Iterator[list[Path]]:
    """A folder a round."""
    with TemporaryDirectory() as name:
        folders = [Path(name) / f"round-{number}" for number in range(rounds)]
        fill(dict.fromkeys(folders, count // rounds))
        yield folders


def against_loop(report: Report, folders: list[Path]) -> None:
    measured = Measured()
    with stack(FAST_MODEL, "fp32") as servers:
        for folder in folders:
            measured.note(LOOP, documented(servers, folder))
            for name, way in WAYS.items():
                measured.note(name, ingest(servers, [folder], collection(name), way, "added"))
        for name, way in WAYS.items():
            for _ in folders:
                again = ingest(servers, folders, collection(name), way, "unchanged")
                measured.note(f"{AGAIN}, {name}", again)
    for name in WAYS:
        compare(report, measured, name, LOOP, FAST_MODEL, AGAINST_LOOP.get(name, ""))
    for name in WAYS:
        print_second_run(report, measured, f"{AGAIN}, {name}")


def against_sidecar(report: Report, folders: list[Path], model: str, precision: str) -> None:
    measured = Measured()
    with stack(model, precision) as servers:
        for folder in folders:
            measured.note(ALONE, sidecar_alone(servers, folder))
            for name, way in WAYS.items():
                measured.note(name, ingest(servers, [folder], collection(name), way, "added"))
    target = AGAINST_SIDECAR if precision == "fp32" else {}
    for name in WAYS:
        compare(report, measured, name, ALONE, f"{model.partition('::')[0]}, {precision}", target.get(name, ""))


def collection(name: str) -> str:
    return "Client" if WAYS[name] == CLIENT else "Module"


def compare(report: Report, measured: Measured, name: str, rival: str, model: str, target: str) -> None:
    what = f"images/s, clip-ingest, {name}, {model}"
    report.add(side_by_side(what, "images/s", measured.rates(rival), measured.rates(name), rival, target))
    start = [took.process_seconds - took.seconds for took in measured.of[name]]
    ratio = side_by_side(what, "images/s", measured.process_rates(rival), measured.process_rates(name), rival).ratio
    report.note(f"{what}: counting starts of processes too (ours {Spread.of(start)} s) the ratio is {ratio}")


def print_second_run(report: Report, measured: Measured, name: str) -> None:
    """The rate is the command's own; of the whole process it is a note, for a start takes longer than the run."""
    own, whole = Spread.of(measured.rates(name)), Spread.of(measured.process_rates(name))
    report.add(Figure(name, "files/s", None, own, None, target=">= 2000"))
    report.note(f"{name}: with the start of the process {whole} files/s")


if __name__ == "__main__":
    main()
