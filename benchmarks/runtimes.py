"""ViT-B-32 on this CPU by every runtime that is installed: items a second by batch, and how far the vectors stray."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import click
import numpy as np

from benchmarks.common import Report, add_json_option, side_by_side
from benchmarks.runtime_passes import RUNTIMES, find_missing
from benchmarks.servers import make_offline_environment

BASE = "open_clip"


class Runtime:
    """A handle on a process with one runtime. A context manager."""

    def __init__(self, name: str) -> None:
        self.name = name
        words = (sys.executable, str(Path(__file__).with_name("runtime_passes.py")), "--runtime", name)
        self._talk = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._talk,
            text=True,
            env=make_offline_environment(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # its input ends, and so does it

    def request(self, **order: Any) -> list[float]:
        """Milliseconds of every pass. Raises RuntimeError with its last words when the process has ended."""
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # printed below
        while line := self._process.stdout.readline():
            if line.startswith("["):  # other libraries print there too
                return list(json.loads(line))
        self._talk.seek(0)
        raise RuntimeError(f"{self.name} ended: {(self._talk.read().strip() or 'without a word').splitlines()[-1]}")

    def rows(self, kind: str) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            self.request(kind=kind, vectors=f"{folder}/rows.npy")
            return np.load(f"{folder}/rows.npy")


@click.command()
@click.option("--runtime", "names", multiple=True, type=click.Choice(list(RUNTIMES)), help="Only these; all if none.")
@click.option("--image-batches", default="1,4,8,16", show_default=True)
@click.option("--text-batches", default="1,8", show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Of one measurement.")
@add_json_option
def main(
    names: Sequence[str],
    image_batches: str,
    text_batches: str,
    rounds: int,
    seconds: float,
    json_file: Path | None,
) -> None:
    """Compare runtimes side by side, in turns, each against open_clip in fp32.

    \b
    Example:
      python benchmarks/runtimes.py --runtime "ours fp32" --runtime "ours int8"
    """
    report = Report("ViT-B-32, model alone, random weights: items a second by runtime")
    report.begin()
    with ExitStack() as stack:
        base, *others = load_runtimes(report, stack, [name for name in RUNTIMES if not names or name in {BASE, *names}])
        for kind, batches in (("image", image_batches), ("text", text_batches)):
            for batch in map(int, batches.split(",")):
                compare_runtimes(report, base, others, {"kind": kind, "batch": batch, "seconds": seconds}, rounds)
            print_cosines(report, base, others, kind)
    report.write(json_file)


def load_runtimes(report: Report, stack: ExitStack, names: Sequence[str]) -> list[Runtime]:
    """Those that can run here; a sentence about each that cannot."""
    running = []
    for name in names:
        if lacks := find_missing(name):
            report.note(f"{name}: missing {' and '.join(lacks)}, not measured")
            continue
        runtime = stack.enter_context(Runtime(name))
        try:
            for kind in ("image", "text"):
                runtime.rows(kind)
        except RuntimeError as error:
            report.note(f"{error}, not measured")
            continue
        running.append(runtime)
    return running


def compare_runtimes(
    report: Report, base: Runtime, others: Sequence[Runtime], order: dict[str, Any], rounds: int
) -> None:
    rates: dict[str, list[float]] = {each.name: [] for each in (base, *others)}
    for _ in range(rounds):
        for each in (base, *others):
            rates[each.name].append(1000 * order["batch"] / statistics.median(each.request(**order)))
    for each in others:
        what = f"{each.name}, {order['kind']}s, batch {order['batch']}"
        report.add(side_by_side(what, f"{order['kind']}s/s", rates[base.name], rates[each.name], f"by {base.name}"))


def print_cosines(report: Report, base: Runtime, others: Sequence[Runtime], kind: str) -> None:
    exact = base.rows(kind)
    for each in others:
        cosines = (exact.astype(np.float64) * each.rows(kind)).sum(axis=1)
        report.note(f"{each.name}, {kind}s: cosine to fp32 {cosines.mean():.6f} mean, {cosines.min():.6f} least")


if __name__ == "__main__":
    main()
