"""`make bench-peers`: this project's sidecar and commands against what people take instead, in one table.

The same random ViT-B-32 weights for all, the same JPEGs of 640x480 and short texts; each peer in an environment of its
own below this project's cache folder. A peer that cannot be installed or run, or computes other vectors than open_clip,
is named with the reason instead of a row.
"""

import signal
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import click

from benchmarks.common import Figure, Report, add_json_option, describe_machine, format_today, list_fast_precisions
from benchmarks.page_sections import fill_sections
from benchmarks.peers.folders import INDEXING, FileVectors, FolderPlan, measure_folder
from benchmarks.peers.report import (
    IndexResult,
    format_folders,
    format_packages,
    format_rates,
    format_ratios,
    list_figures,
    list_losses,
)
from benchmarks.peers.rounds import SAMPLES, RoundPlan, SideResult, SideStart, choose_samples, measure_sides
from benchmarks.peers.sides import LoopSide, start_loop
from benchmarks.peers.starters import ARCHITECTURE, OWN, SERVING, StartRequest, start_own
from benchmarks.peers.vectors import SampleVectors, embed_samples
from benchmarks.peers.weights import RCLIP_ARCHITECTURE, find_weights
from benchmarks.photographs import make_photographs
from benchmarks.texts import make_captions

CLAIM = "ours against every peer: random ViT-B-32 weights, JPEGs of 640x480, short texts, one machine"
PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
COMMAND = "make bench-peers WRITE=1"
SERVERS, FOLDERS = PARTS = ("servers", "folders")
CONTAINERS = ("container-open_clip", "container-transformers")
TEXTS = 14_000  # of which a load takes what it needs


@dataclass(frozen=True, slots=True)
class Amount:
    rounds: int
    folder_rounds: int
    seconds: float
    images: int  # for loads
    files: int  # of the folder

    def change_rounds(self, rounds: int | None) -> Self:
        return replace(self, rounds=rounds, folder_rounds=rounds) if rounds else self

    def describe(self) -> str:
        return f"{self.rounds}, of a folder {self.folder_rounds}"


WHOLE, QUICK = Amount(3, 2, 3.0, 600, 2000), Amount(1, 1, 1.5, 300, 300)


@click.command()
@click.option(
    "--only", multiple=True, type=click.Choice([*SERVING, *INDEXING]), help="One peer; several times for more."
)
@click.option(
    "--part", "parts", multiple=True, type=click.Choice(PARTS), help="Only servers and loops, or only folders."
)
@click.option("--rounds", type=click.IntRange(1), help=f"Of loads and of a folder.  [default: {WHOLE.describe()}]")
@click.option("--quick", is_flag=True, help=f"Short loads and a folder of {QUICK.files}, one round: a first look.")
@click.option(
    "--upstream",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The code of Weaviate's container, github.com/weaviate/multi2vec-clip-inference.",
)
@click.option("--write", is_flag=True, help="Write the tables of docs/performance.md anew.")
@add_json_option
def main(
    only: tuple[str, ...],
    parts: tuple[str, ...],
    rounds: int | None,
    quick: bool,
    upstream: Path | None,
    write: bool,
    json_file: Path | None,
) -> None:
    """Compare rates, memory and vectors with each peer's: 90 minutes on two free cores, 15 with --quick.

    \b
    Example:
      python -m benchmarks.peers --only fastembed --only open_clip --quick
    """
    if write and (only or quick):
        raise click.UsageError("--write needs all peers at full length: remove --only and --quick")
    if upstream is None and set(only) & set(CONTAINERS):
        raise click.UsageError("Weaviate's container is not on PyPI: give a folder with its code as --upstream FOLDER")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # or stopped peers would stay
    report = Report(CLAIM)
    report.begin()
    amount = (QUICK if quick else WHOLE).change_rounds(rounds)
    with TemporaryDirectory() as folder:
        sections = {"peers-packages": "\n".join(format_packages())}
        if SERVERS in (parts or PARTS):
            names = [name for name in only or SERVING if name in SERVING]
            sections |= compare_servers(report, amount, names, upstream, folder)
        if FOLDERS in (parts or PARTS):
            sections |= compare_folders(report, amount, [name for name in only or INDEXING if name in INDEXING], folder)
    report.write(json_file)
    if write:
        PAGE.write_text(fill_sections(PAGE.read_text(encoding="utf-8"), sections), encoding="utf-8")
    else:
        click.echo("\n" + "\n\n".join(sections.values()))


def compare_servers(
    report: Report, amount: Amount, names: Sequence[str], upstream: Path | None, folder: str
) -> dict[str, str]:
    """Return sections of docs/performance.md by name."""
    first = len(report.notes)
    sides = measure_serving(report, amount, names, upstream, folder)
    figures = list(list_figures(sides))
    for figure in figures:
        report.add(figure)
    note_losses(report, figures)
    return {
        "peers-rates": "\n".join([describe_run(SERVERS), "", *format_rates(sides)]),
        "peers-ratios": "\n".join([*format_ratios(sides), "", *format_notes(report, first)]),
    }


def compare_folders(report: Report, amount: Amount, names: Sequence[str], folder: str) -> dict[str, str]:
    first = len(report.notes)
    folders = measure_indexing(report, amount, names, folder)
    for each in folders:
        report.add(each.figure)
    note_losses(report, [each.figure for each in folders])
    lines = [describe_run(FOLDERS), "", *format_folders(folders), "", *format_notes(report, first)]
    return {"peers-folders": "\n".join(lines)}


def note_losses(report: Report, figures: Sequence[Figure]) -> None:
    for loss in list_losses(figures):
        report.note(loss)


def describe_run(part: str) -> str:
    return f"{describe_machine()}; {format_today()};\n`{COMMAND} PART={part}`."


def format_notes(report: Report, first: int) -> list[str]:
    """Those that were made since there were `first`."""
    return [f"- {note}" for note in report.notes[first:]]


def measure_serving(
    report: Report, amount: Amount, names: Sequence[str], upstream: Path | None, folder: str
) -> list[SideResult]:
    """Peers that answer or loop, and our sidecar in each precision, ours in fp32 first."""
    if not names:
        return []
    images = write_images(Path(folder) / "loads", amount.images)
    plan = RoundPlan({"image": list(map(str, images)), "text": make_captions(TEXTS)}, amount.rounds, amount.seconds)
    reference = embed_reference(ARCHITECTURE, plan)
    report.note(f"two different items: cosine at most {reference.compute_neighbours():.3f}")
    request = StartRequest(find_weights(ARCHITECTURE), upstream)
    starts = [SideStart(OWN, each, start_own(each)(request)) for each in list_fast_precisions()]
    starts += [SideStart(SERVING[name].name, "fp32", SERVING[name].start(request)) for name in names]
    return measure_sides(plan, starts, reference, report)


def measure_indexing(report: Report, amount: Amount, names: Sequence[str], folder: str) -> list[IndexResult]:
    if not names:
        return []
    images = write_images(Path(folder) / "folder", amount.files)
    precisions = {ARCHITECTURE: list_fast_precisions(), RCLIP_ARCHITECTURE: ("fp32",)}
    plan = FolderPlan(images[0].parent, precisions, amount.folder_rounds)
    results = []
    for name in names:
        architecture = INDEXING[name].architecture
        sample = [str(image) for image in images[:SAMPLES]]
        with start_reference(architecture) as side:
            reference = FileVectors([Path(each).name for each in sample], side.embed("image", sample))
        results += measure_folder(plan, name, find_weights(architecture), reference, report)
    return results


def write_images(folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    files = [folder / f"photograph-{number:06}.jpg" for number in range(count)]
    for file, content in zip(files, make_photographs(count), strict=True):
        file.write_bytes(content)
    return files


def embed_reference(architecture: str, plan: RoundPlan) -> SampleVectors:
    with start_reference(architecture) as side:
        return embed_samples(side, choose_samples(plan.items))


def start_reference(architecture: str) -> AbstractContextManager[LoopSide]:
    """open_clip's own model and preparation of images, whose vectors all others are compared with."""
    return start_loop(Path(sys.executable), "open_clip", find_weights(architecture), architecture)


if __name__ == "__main__":
    main()
