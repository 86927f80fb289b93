"""The memory that `clip-ingest` takes, by how many images there are: it should hardly grow.

Small drawings, each another, so that a hundred thousand take minutes and not hours; what a photograph weighs is bounded
by the stages, not by how many there are.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from PIL import Image

from benchmarks.common import Figure, Report, Spread, add_json_option
from benchmarks.ingest.sides import CLIENT, INGEST, Stack, stack

CLAIM = "peak memory of the clip-ingest process"
FOLDER = 1000  # files in one
SIDE = 48  # pixels
MB = 1e6 if sys.platform == "darwin" else 1e3  # of wait4's units, in a MB


@click.command()
@click.option("--files", "counts", multiple=True, type=click.IntRange(1), default=(1000, 10_000), show_default=True)
@add_json_option
def main(counts: tuple[int, ...], json_file: Path | None) -> None:
    """Bring so many images in, and print the most memory that `clip-ingest` has taken.

    \b
    Example:
      python benchmarks/ingest/memory.py --files 1000 --files 100000
    """
    report = Report(CLAIM)
    report.begin()
    for count in sorted(counts):
        with TemporaryDirectory() as folder, stack("emoji", "fp32") as servers:
            draw(Path(folder), count)
            start = time.monotonic()
            peak = ingest(servers, Path(folder))
        report.add(Figure(f"{count} images", "MB", None, Spread.of([peak]), None, target="<= 600"))
        report.note(f"{count} images took {time.monotonic() - start:.0f} s")
    report.write(json_file)


def ingest(servers: Stack, folder: Path) -> float:
    """The most memory that the command had, in MB. Raises RuntimeError unless it ends with 0."""
    words = [sys.executable, str(INGEST), str(folder), "--collection", "Memory", *CLIENT]
    process = subprocess.Popen(words, env={**os.environ, **servers.env})
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # or Python would wait for it once more
    if process.returncode:
        raise RuntimeError(f"clip-ingest ended with {process.returncode}")
    return used.ru_maxrss / MB


def draw(folder: Path, count: int) -> None:
    """Blocks of colours, from a seed each."""
    for number in range(count):
        file = folder / f"{number // FOLDER:04}" / f"{number % FOLDER:03}.png"
        file.parent.mkdir(exist_ok=True)
        colours = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file)


if __name__ == "__main__":
    main()
