"""Memory of a sidecar after many requests, against one at a time: resident now, and at most so far.

Half of the requests are images, half are texts, 8 in flight, all different. Ours loads the same model twice: from a
folder, as `clip-vectorizer models download` writes it, and by open_clip, which takes memory of its own.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.common import Report, add_json_option, list_fast_precisions, side_by_side
from benchmarks.load import drive_load, make_image_bodies, make_text_bodies
from benchmarks.model_folders import write_random_folder
from benchmarks.photographs import make_photographs
from benchmarks.real_size import read_memory
from benchmarks.servers import MODEL, Server, start_one_at_a_time, start_own_server
from benchmarks.texts import make_captions
from clip_vectorizer.server.settings import PRECISIONS

IN_FLIGHT = 8
LONGEST_SECONDS = 600.0
FIELDS = {"VmRSS": "resident after {} requests", "VmHWM": "at most until then"}


@click.command()
@click.option("--precision", "precisions", multiple=True, type=click.Choice(PRECISIONS), help="All if none is named.")
@click.option("--requests", "count", default=1000, show_default=True, type=click.IntRange(4 * IN_FLIGHT))
@click.option("--model", default=MODEL, show_default=True, help="ARCHITECTURE::random.")
@add_json_option
def main(precisions: Sequence[str], count: int, model: str, json_file: Path | None) -> None:
    """Compare the memory of servers, one after the other.

    \b
    Example:
      python benchmarks/memory.py --precision fp32
    """
    report = Report(f"memory of a sidecar after {count} requests, half images and half texts")
    report.begin()
    bodies = make_image_bodies(make_photographs(count // 2)), make_text_bodies(make_captions(count // 2))
    theirs = measure_memory(start_one_at_a_time(model), bodies)
    with TemporaryDirectory() as folder:
        write_random_folder(model.partition("::")[0], Path(folder))
        for precision in precisions or list_fast_precisions():
            for name, source in (("a folder", f"local-dir:{folder}"), ("open_clip", model)):
                ours = measure_memory(start_own_server(precision, source), bodies)
                for field, what in FIELDS.items():
                    title = f"{precision}, from {name}: {what.format(count)}"
                    target = "<= 0.8" if field == "VmRSS" and source != model else ""
                    report.add(side_by_side(title, "MiB", [theirs[field]], [ours[field]], "one at a time", target))
    report.write(json_file)


def measure_memory(start: AbstractContextManager[Server], bodies: tuple[list[bytes], list[bytes]]) -> dict[str, float]:
    """MiB by field of /proc."""
    with start as server:
        for each in bodies:
            drive_load(server.url, each, IN_FLIGHT, LONGEST_SECONDS)
        return {field: read_memory(server.pid, field) for field in FIELDS}


if __name__ == "__main__":
    main()
