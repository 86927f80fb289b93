"""PDF pages: how fast they are read, with their facts, next to what PDFium's rendering alone reaches.

PDFium draws one page at a time in a process, so rendering alone is one thread; everything else runs beside it on the
same cores. The whole ingest is that of `clip-ingest` with a database that accepts everything and a sidecar that is not
called: it reads, hashes, makes thumbnails and pads. Two rows show what the design costs: four corners of each page, and
each page as a JPEG file that is decoded again for each use. Sides in turns.

    python -m benchmarks.pdf_pages /tmp/corpus --dpi 150
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
import numpy as np
import pypdfium2

from benchmarks.common import Report, add_json_option, side_by_side
from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.vectors import Vectors
from ingest.choices import DPI, WORKERS, Keep
from ingest.items import Facts, SourceItem
from ingest.page_pixels import PagePixels
from ingest.pipeline import IngestSettings
from ingest.pipeline import ingest as ingest_sources
from ingest.prepare import PrepareSettings
from ingest.region_methods import RegionRecipe, parse_method
from ingest.regions import RegionMaker
from ingest.sources import open_sources
from ingest.sources.base import FileEntry, Source, SourceOptions, SourceResult, make_stamp
from ingest.sources.page_facts import read_page_facts
from ingest.sources.pdf import compute_scale, count_pdf_pages, read_page
from ingest.sources.reading import open_regular
from ingest.store.base import EmptyStore, NoRegionStore

CLAIM = "PDF pages are ingested at >= 0.9 of what PDFium's rendering alone reaches on the same cores"
MODEL = StoredModel("none", "none", 1, "none")
TARGET = ">= 0.9"
ALONE = "rendering alone"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dpi", default=DPI, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@click.option("--workers", default=WORKERS, show_default=True, type=click.IntRange(1), help="Threads that read.")
@add_json_option
def main(folder: Path, dpi: int, rounds: int, workers: int, json_file: Path | None) -> None:
    """Read the pages of all PDF files under FOLDER, again and again."""
    report = Report(CLAIM)
    report.begin()
    pages = list_pages(folder)
    sources = open_sources([str(folder)], SourceOptions(dpi=dpi))
    sides: dict[str, Callable[[], None]] = {
        ALONE: lambda: draw_all(pages, dpi, with_facts=False),
        "rendering, with facts": lambda: draw_all(pages, dpi, with_facts=True),
        "pages read, with facts": lambda: read_all(pages, dpi, workers),
        "whole ingest, without a database": lambda: ingest_all(sources, workers),
        "whole ingest, and four corners of each page": lambda: ingest_all(sources, workers, "corners"),
        "whole ingest, each page by way of a JPEG file": lambda: ingest_all([*map(EncodedPages, sources)], workers),
    }
    rates = measure(sides, len(pages), rounds)
    theirs = rates.pop(ALONE)
    for what, ours in rates.items():
        report.add(side_by_side(what, "pages/s", theirs, ours, ALONE, TARGET))
    report.note(f"{len(pages)} pages at {dpi} dpi, {workers} threads that read")
    report.write(json_file)


def list_pages(folder: Path) -> list[tuple[FileEntry, int]]:
    files = sorted(folder.rglob("*.pdf"))
    entries = [
        FileEntry(str(file), str(folder), make_stamp(file), partial(open_regular, file), Facts) for file in files
    ]
    return [(entry, number) for entry in entries for number in range(1, count_pdf_pages(entry) + 1)]


def measure(sides: dict[str, Callable[[], None]], pages: int, rounds: int) -> dict[str, list[float]]:
    """Return pages a second of each side, one value a round."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            began = time.perf_counter()
            run()
            rates[name].append(pages / (time.perf_counter() - began))
    return rates


def draw_all(pages: Sequence[tuple[FileEntry, int]], dpi: int, with_facts: bool) -> None:
    opened: tuple[str, pypdfium2.PdfDocument] | None = None
    for entry, number in pages:
        if opened is None or opened[0] != entry.key:
            opened = entry.key, pypdfium2.PdfDocument(entry.key)
            opened[1].init_forms()
        page = opened[1][number - 1]
        bitmap = page.render(scale=compute_scale(page.get_size(), dpi), rev_byteorder=True, prefer_bgrx=True)
        if with_facts:
            read_page_facts(page)
        bitmap.close()
        page.close()


def read_all(pages: Sequence[tuple[FileEntry, int]], dpi: int, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda page: read_page(page[0], page[1], dpi).facts, pages))


def ingest_all(sources: Sequence[Source], workers: int, regions: str = "") -> None:
    maker = build_maker(regions) if regions else None
    prepare = PrepareSettings(regions=maker.recipe if maker else None)
    settings = IngestSettings(workers=workers, prepare=prepare, verify=False)
    report = ingest_sources(sources, EmptyStore(MODEL, Keep.THUMBNAIL), settings=settings, regions=maker)
    assert report.seen and not report.failed, report.failures


def build_maker(regions: str) -> RegionMaker:
    recipe = RegionRecipe.build(parse_method(regions, 4), MODEL, "")
    return RegionMaker(recipe, NoRegionStore(), IdleEmbedder())


class IdleEmbedder:
    """An Embedder whose vectors cost nothing."""

    def embed(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]:
        return [np.ones(1, np.float32) for _ in images]


class EncodedPages:
    """A Source with the pages of another, each as the JPEG file of its pixels."""

    def __init__(self, source: Source) -> None:
        self._source, self.name = source, source.name

    def __iter__(self) -> Iterator[SourceResult]:
        for each in self._source:
            yield replace(each, read=partial(encode_content, each)) if isinstance(each, SourceItem) else each


def encode_content(item: SourceItem) -> bytes:
    content = item.read()
    return content.encode() if isinstance(content, PagePixels) else content


if __name__ == "__main__":
    main()
