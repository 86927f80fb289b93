"""The page of clip-gallery at 100,000 images: search to painted row, size, a long list, counts, map, time line.

The images are synthesised from the examples (stored.py). Weaviate, the sidecar, the page and Chromium share the
machine. The filters are counted when the page has asked for nothing else, and again when the counts are kept.
"""

import gzip
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import httpx
import numpy as np

import clip_vectorizer.gallery
from benchmarks.chromium import open_chromium
from benchmarks.common import Figure, Report, Spread, add_json_option
from benchmarks.gallery.browser import open_page, time_searches
from benchmarks.gallery.long_list import measure_list, measure_processor
from benchmarks.gallery.stored import EXAMPLES, fill_collection
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.query.evaluation.dataset import list_folder_images
from ingest.demo.gallery import LocalGallery
from ingest.demo.places import read_stack_endpoints
from ingest.embedded import LocalStack

CLAIM = "clip-gallery in Chromium, on a collection of synthesised images"
STATIC = Path(clip_vectorizer.gallery.__file__).parent / "static"
TIMEOUT_SECONDS = 120.0
ROUNDS = 3  # of the long list


@click.command()
@click.option("--images", default=100_000, show_default=True, type=click.IntRange(1000), help="Stored.")
@click.option("--searches", default=100, show_default=True, type=click.IntRange(10, 300), help="Texts searched.")
@click.option(
    "--cards", default=5000, show_default=True, type=click.IntRange(100), help="Of the list that is scrolled."
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Keeps the images for the next run.",
)
@add_json_option
def main(images: int, searches: int, cards: int, data: Path | None, json_file: Path | None) -> None:
    """Store images, open the page, search, scroll, count.

    \b
    Example:
      python -m benchmarks.gallery --images 20000 --cards 1000
      python -m benchmarks.gallery --data /tmp/gallery
    """
    report = Report(CLAIM)
    report.begin()
    with ExitStack() as opened:
        folder = data or Path(opened.enter_context(TemporaryDirectory()))
        stack = opened.enter_context(LocalStack("emoji", folder))
        fill_collection(stack, images)
        gallery = opened.enter_context(LocalGallery(read_stack_endpoints(stack), folder / "gallery.log", os.environ))
        report.note(f"{images:,} images, {searches} texts, {cards:,} cards")
        texts = [each.caption for each in list_folder_images(EXAMPLES) if each.caption]
        texts = [str(text) for text in np.random.default_rng(0).permutation(texts)]
        measure_encoder(report, stack, texts[searches : searches + 10])
        measure_counts(report, gallery.url)
        measure_views(report, gallery.url)
        measure_sizes(report, gallery.url)
        measure_searches(report, gallery.url, texts[:searches], texts[-5:])
        measure_long_list(report, gallery.url, cards)
    report.write(json_file)


def measure_searches(report: Report, url: str, texts: list[str], first: list[str]) -> None:
    """`first`: texts that are searched before, for what is read and compiled once."""
    with open_chromium() as browser:
        page = open_page(browser, url)
        time_searches(page, first)
        add_times(report, "search to painted first row", time_searches(page, texts), "<= 300")


def measure_long_list(report: Report, url: str, cards: int) -> None:
    """Medians of new browsers."""
    found = [measure_list(url, cards) for _ in range(ROUNDS)]
    report.add(values("empty page, memory of its process", "MB", [each.empty_megabytes for each in found]))
    report.add(values("first page, memory of its process", "MB", [each.first_megabytes for each in found]))
    name = f"{found[0].cards:,} cards"
    report.add(values(f"{name}, memory of the page's process", "MB", [each.megabytes for each in found], "<= 300"))
    report.add(values(f"{name}, memory of its JavaScript", "MB", [each.heap_megabytes for each in found]))
    report.add(values(f"{name}, longest task", "ms", [each.longest_task_ms for each in found], "<= 100"))
    processor = [measure_processor(url, cards) for _ in range(ROUNDS)]
    report.add(values(f"{name}, processor time of the longest task", "ms", processor))
    report.add(values(f"{name}, until all were there", "s", [each.seconds for each in found]))
    load = os.getloadavg()[1]
    report.note(f"load of the machine at the end, of five minutes: {load:.1f} on {os.cpu_count()} cores")


def measure_encoder(report: Report, stack: LocalStack, texts: list[str]) -> None:
    with VectorizerClient(stack.sidecar.url) as sidecar:
        times = [time_ms(partial(sidecar.embed_texts, [text])) for text in texts]
    add_times(report, "of a search, the encoder", times)


def measure_counts(report: Report, url: str) -> None:
    """The first request counts; those after it are answered from what is kept."""
    first, *kept = [time_ms(lambda: fetch(f"{url}facets")) for _ in range(6)]
    report.add(value("filters of all images, counted", "ms", first))
    add_times(report, "filters of all images, kept", kept)


def measure_views(report: Report, url: str) -> None:
    """The first page counts or computes; those after it have what is kept."""
    for view, path, ready in (("time line", "timeline", b'id="bars"'), ("map", "map", b'id="cells"')):
        report.add(value(f"{view}, until it is there", "ms", time_ms(partial(wait_for, f"{url}{path}", ready))))
        add_times(report, f"{view}, kept", [time_ms(partial(fetch, f"{url}{path}")) for _ in range(5)])


def wait_for(url: str, part: bytes) -> None:
    """Fetch a page again and again until it has a part. Raises RuntimeError after TIMEOUT_SECONDS."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while part not in fetch(url):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{url} has no {part.decode()} after {TIMEOUT_SECONDS:.0f} s")


def measure_sizes(report: Report, url: str) -> None:
    for name, wanted in (("js", "<= 30"), ("css", "<= 12")):
        files = [gzip.compress(file.read_bytes()) for file in sorted(STATIC.glob(f"*.{name}"))]
        report.add(value(f"{name} of the page, gzipped", "kB", sum(map(len, files)) / 1e3, wanted))
    report.add(value("first page without thumbnails, gzipped", "kB", len(gzip.compress(fetch(url))) / 1e3, "<= 60"))


def fetch(url: str) -> bytes:
    return httpx.get(url, timeout=TIMEOUT_SECONDS, trust_env=False).raise_for_status().content


def time_ms(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1e3


def add_times(report: Report, what: str, milliseconds: list[float], wanted: str = "") -> None:
    p50, p95 = (float(each) for each in np.quantile(milliseconds, (0.5, 0.95)))
    report.add(value(f"{what}, p50 of {len(milliseconds)}", "ms", p50))
    report.add(value(f"{what}, p95 of {len(milliseconds)}", "ms", p95, wanted))


def value(what: str, unit: str, measured: float, wanted: str = "") -> Figure:
    return values(what, unit, [measured], wanted)


def values(what: str, unit: str, measured: list[float], wanted: str = "") -> Figure:
    return Figure(what, unit, None, Spread.of(measured), None, target=wanted)


if __name__ == "__main__":
    main()
