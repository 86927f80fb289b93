"""Why a few rows are added to batches of texts: what oneDNN compiles for numbers of rows that hardly come again.

Both sides encode the same batches of short texts, of 1 to `--most` texts, each in a process of its own.
"""

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import click

from benchmarks.common import Report, add_json_option, side_by_side
from benchmarks.servers import MODEL
from benchmarks.texts import make_captions
from clip_vectorizer.models import row_layouts
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.server.settings import PRECISIONS

EXECUTABLE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rwxp 00000000 00:00 0", re.MULTILINE)
TEXTS = 4096
MEGABYTE = 1_000_000


@click.command()
@click.option("--precision", default="fp32", show_default=True, type=click.Choice(PRECISIONS))
@click.option("--batches", default=200, show_default=True, type=click.IntRange(1))
@click.option("--most", default=64, show_default=True, type=click.IntRange(1, TEXTS), help="Texts in a batch.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--only", type=click.Choice(("exact", "rounded")), hidden=True, help="The process of one side.")
@add_json_option
def main(precision: str, batches: int, most: int, rounds: int, only: str | None, json_file: Path | None) -> None:
    """Compare exact numbers of rows with rounded ones: texts a second, and memory for compiled code. Linux only.

    \b
    Example:
      python benchmarks/row_counts.py --precision int8 --rounds 1
    """
    if only:
        click.echo(" ".join(map(str, encode_batches(precision, batches, most, exact=only == "exact"))))
        return
    report = Report(f"{batches} batches of 1 to {most} short texts, ViT-B-32, by how the number of rows is chosen")
    report.begin()
    words = (sys.executable, __file__, "--precision", precision, "--batches", str(batches), "--most", str(most))
    sides: dict[str, list[list[float]]] = {"exact": [], "rounded": []}
    for _ in range(rounds):
        for name, found in sides.items():
            done = subprocess.run((*words, "--only", name), check=True, capture_output=True, text=True)
            found.append([float(each) for each in done.stdout.split()])
    for number, (what, unit) in enumerate((("texts/s", "texts/s"), ("compiled code", "MB"))):
        theirs, ours = ([found[number] for found in sides[name]] for name in sides)
        report.add(side_by_side(f"{what}, {precision}, rounded", unit, theirs, ours, "exact"))
    report.write(json_file)


def encode_batches(precision: str, batches: int, most: int, exact: bool) -> tuple[float, float]:
    """Return texts a second, and megabytes of executable memory of no file."""
    if exact:
        row_layouts.round_up_rows = lambda count: count
    encoder = load_encoder(ModelName(MODEL), Placement(precision=precision))
    texts = [encoder.prepare_text(text) for text in make_captions(TEXTS)]
    encoder.encode_texts(texts[:2])
    chosen = random.Random(0)
    parts = [chosen.sample(texts, chosen.randint(1, most)) for _ in range(batches)]
    start = time.perf_counter()
    for part in parts:
        encoder.encode_texts(part)
    seconds = time.perf_counter() - start
    maps = EXECUTABLE.finditer(Path("/proc/self/maps").read_text(encoding="ascii"))
    size = sum(int(each[2], 16) - int(each[1], 16) for each in maps)
    return sum(map(len, parts)) / seconds, size / MEGABYTE


if __name__ == "__main__":
    main()
