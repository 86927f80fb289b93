"""PDF pages: how fast they are read, with their facts, next to what PDFium's rendering alone reaches.

PDFium draws one page at a time in a process, so rendering alone is one thread; everything else runs beside it on the
same cores. The whole ingest is that of `clip-ingest` with a database that accepts everything and a sidecar that is not
called: it reads, hashes, makes thumbnails and pads. Sides in turns.

    python -m benchmarks.pdf_pages /tmp/corpus --dpi 150
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click
import pypdfium2

from benchmarks.common import Report, add_json_option, side_by_side
from clip_vectorizer.database.schema import StoredModel
from ingest.choices import DPI, WORKERS, Keep
from ingest.items import Facts
from ingest.pipeline import IngestSettings
from ingest.pipeline import ingest as ingest_sources
from ingest.sources import open_sources
from ingest.sources.base import FileEntry, SourceOptions, make_stamp
from ingest.sources.page_facts import read_page_facts
from ingest.sources.pdf import compute_scale, count_pdf_pages, read_page
from ingest.sources.reading import open_regular
from ingest.store.base import EmptyStore

CLAIM = "PDF pages are ingested at >= 0.9 of what PDFium's rendering alone reaches on the same cores"
MODEL = StoredModel("none", "none", 1, "none")
TARGET = ">= 0.9"


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dpi", default=DPI, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@add_json_option
def main(folder: Path, dpi: int, rounds: int, json_file: Path | None) -> None:
    """Read the pages of all PDF files under FOLDER, again and again."""
    report = Report(CLAIM)
    report.begin()
    pages = list_pages(folder)
    sides: dict[str, Callable[[], None]] = {
        "rendering alone": lambda: draw_all(pages, dpi, with_facts=False),
        "rendering, with facts": lambda: draw_all(pages, dpi, with_facts=True),
        "pages read, with facts and as JPEG": lambda: read_all(pages, dpi),
        "whole ingest, without a database": lambda: ingest_all(folder, dpi),
    }
    rates = measure(sides, len(pages), rounds)
    theirs = rates.pop("rendering alone")
    for what, ours in rates.items():
        report.add(side_by_side(what, "pages/s", theirs, ours, "rendering alone", TARGET))
    report.note(f"{len(pages)} pages at {dpi} dpi, {WORKERS} threads that read")
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


def read_all(pages: Sequence[tuple[FileEntry, int]], dpi: int) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda page: read_page(page[0], page[1], dpi).pixels.mode, pages))


def ingest_all(folder: Path, dpi: int) -> None:
    sources = open_sources([str(folder)], SourceOptions(dpi=dpi))
    report = ingest_sources(sources, EmptyStore(MODEL, Keep.THUMBNAIL), settings=IngestSettings(verify=False))
    assert not report.failed, report.failures


if __name__ == "__main__":
    main()
