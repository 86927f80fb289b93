"""Makes a corpus of PDF files with technical drawings of 24 made-up organisations among pages of eight other kinds.

    python examples/drawings/make_corpus.py /tmp/corpus --pages 300 --seed 1

The same seed and versions give the same bytes. `pages.jsonl` has a line for each page.
"""

from __future__ import annotations

import io
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import click
import pypdfium2
from reportlab import rl_config
from reportlab.pdfgen.canvas import Canvas

from examples.drawings.blocks import draw_block, draw_frame, place_block, write_texts
from examples.drawings.corpus_plan import DRAWERS, DRAWERS_APART, DRAWING, PlannedFile, PlannedPage, plan_corpus
from examples.drawings.leaks import format_leaks, measure_leaks
from examples.drawings.names import make_word
from examples.drawings.organisations import Organisation
from examples.drawings.part_drawings import draw_part_page
from examples.drawings.scans import Pose, Scanner, choose_pose, choose_scanner, scan_page, write_image_pdf
from examples.drawings.sheets import Rectangle, Sheet, SheetPen, choose_sheet

LIST = "pages.jsonl"
FEWEST_PAGES = 20
STRAIGHT = Pose(skew=0.0, turned=False)
TEXT_MARGIN = 18.0  # mm around pages without a frame

Shares = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class DrawnPage:
    """A page as reportlab drew it."""

    sheet: Sheet
    block: Rectangle | None  # mm of the sheet
    title: str
    number: str


@dataclass(frozen=True, slots=True)
class CorpusPage:
    """A line of pages.jsonl."""

    path: str  # relative to the corpus
    page: int  # from 1
    kind: str
    organisation: str | None  # whose title block is on the page
    family: str  # of parts, or the generator of another kind
    split: str
    column: str
    scan: bool
    dpi: int | None  # of a scan
    box: Shares | None  # of the title block: x0, y0, x1, y1 as shares, from the upper left corner
    title: str | None
    number: str | None


@click.command()
@click.argument("target", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@click.option("--pages", type=click.IntRange(min=FEWEST_PAGES), default=3000, show_default=True, help="How many pages.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed gives another corpus.")
@click.option(
    "--test-share", type=click.FloatRange(0.1, 0.9), default=0.4, show_default=True, help="Share of the test pages."
)
@click.option(
    "--check-leaks",
    is_flag=True,
    help="Also print how well file size, page size, dpi and path segments give drawings away.",
)
def main(target: Path, pages: int, seed: int, test_share: float, check_leaks: bool) -> None:
    """Write PDF files with drawings and other pages to OUT/train and OUT/test, and OUT/pages.jsonl.

    \b
    Example:
      python examples/drawings/make_corpus.py /tmp/corpus --pages 300 --seed 1
    """
    if (target / LIST).exists():
        raise click.UsageError(f"{target} has a corpus already; remove it or name another folder")
    start, busy = time.perf_counter(), time.process_time()
    try:
        lines = make_corpus(target, pages, seed, test_share)
    except OSError as error:
        raise click.ClickException(
            f"{error.filename}: {error.strerror}; free the place or name another folder"
        ) from error
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    click.echo(describe(lines), err=True)
    click.echo(f"{pages} pages in {seconds:.1f} s, {pages / busy:.0f} pages a second of the processor", err=True)
    if check_leaks:
        click.echo(format_leaks(measure_leaks(target, read_corpus(target))))


def make_corpus(target: Path, pages: int, seed: int, test_share: float = 0.4) -> list[CorpusPage]:
    """Write a corpus and return the lines of its list."""
    lines: list[CorpusPage] = []
    for planned in plan_corpus(pages, test_share, seed):
        data, made = make_file(planned, seed)
        path = target / planned.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        lines += made
    text = "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)
    (target / LIST).write_text(text, encoding="utf-8")
    return lines


def read_corpus(folder: Path) -> list[CorpusPage]:
    """The lines of a corpus's list."""
    rows = (json.loads(line) for line in (folder / LIST).read_text(encoding="utf-8").splitlines())
    return [CorpusPage(**{**row, "box": row["box"] and tuple(row["box"])}) for row in rows]


def describe(lines: list[CorpusPage]) -> str:
    """Counts by kind and by split."""
    kinds = Counter(line.kind for line in lines)
    splits = Counter(f"{line.split}, {line.column}" for line in lines)
    scans = sum(line.scan for line in lines)
    counts = ", ".join(f"{number} {name}" for name, number in kinds.most_common())
    groups = ", ".join(f"{number} {name}" for name, number in splits.items())
    return f"{counts}\n{groups}\n{scans} of {len(lines)} are scans"


def make_file(planned: PlannedFile, seed: int) -> tuple[bytes, list[CorpusPage]]:
    """The bytes of a PDF file and its lines."""
    data, drawn = draw_file(planned, seed)
    if not planned.scan:
        return data, [list_page(planned, number, page, STRAIGHT, None) for number, page in enumerate(drawn)]
    rng = Random(f"scan {seed} {planned.name}")
    scanner, poses = choose_scanner(rng), [choose_pose(rng) for _ in drawn]
    data = scan_file(data, drawn, scanner, poses, rng)
    lines = [list_page(planned, number, page, poses[number], scanner.dpi) for number, page in enumerate(drawn)]
    return data, lines


def draw_file(planned: PlannedFile, seed: int) -> tuple[bytes, list[DrawnPage]]:
    rl_config.useA85 = 0  # streams as bytes: a quarter smaller than as ASCII85, the default of reportlab
    file = io.BytesIO()
    canvas = Canvas(file, invariant=1, pageCompression=1)
    drawn = []
    for number, page in enumerate(planned.pages):
        rng = Random(f"page {seed} {planned.name} {number}")
        drawn.append(draw_page(SheetPen(canvas, choose_sheet(rng)), planned.organisation, page, rng))
        canvas.showPage()
    canvas.save()
    return file.getvalue(), drawn


def draw_page(pen: SheetPen, organisation: Organisation | None, page: PlannedPage, rng: Random) -> DrawnPage:
    if page.kind == DRAWING and organisation:
        block, texts = draw_part_page(pen, organisation, page.family, rng)
        return DrawnPage(pen.sheet, zoom_box(block, pen.zoom), texts.title, texts.number)
    drawer = {**DRAWERS[page.kind], **DRAWERS_APART[page.kind]}[page.family]
    if page.framed and organisation:
        inside = draw_frame(pen, organisation)
        block = place_block(organisation, inside)
        texts = write_texts(organisation, make_word(rng, 3).capitalize(), "-", pen.sheet, rng)
        drawer(pen, keep_off(inside, block), rng)
        draw_block(pen, organisation, texts, block)
        return DrawnPage(pen.sheet, zoom_box(block, pen.zoom), texts.title, texts.number)
    drawer(pen, pen.area.grow(-TEXT_MARGIN), rng)
    return DrawnPage(pen.sheet, None, "", "")


def zoom_box(box: Rectangle, zoom: float) -> Rectangle:
    return Rectangle(box.x0 * zoom, box.y0 * zoom, box.x1 * zoom, box.y1 * zoom)


def keep_off(inside: Rectangle, block: Rectangle) -> Rectangle:
    """The larger of the areas above and beside a title block."""
    above = Rectangle(inside.x0, block.y1, inside.x1, inside.y1).grow(-6)
    beside = Rectangle(inside.x0, inside.y0, block.x0, inside.y1).grow(-6)
    return above if above.width * above.height > beside.width * beside.height else beside


def scan_file(data: bytes, drawn: list[DrawnPage], scanner: Scanner, poses: list[Pose], rng: Random) -> bytes:
    document = pypdfium2.PdfDocument(data)
    scans, behind = [], None
    try:
        for number, page in enumerate(drawn):
            scan, behind = scan_page(document[number], page.sheet, scanner, poses[number], behind, rng)
            scans.append(scan)
    finally:
        document.close()
    return write_image_pdf(scans)


def list_page(planned: PlannedFile, number: int, drawn: DrawnPage, pose: Pose, dpi: int | None) -> CorpusPage:
    page = planned.pages[number]
    box = pose.move(drawn.block, drawn.sheet) if drawn.block else None
    return CorpusPage(
        path=planned.name,
        page=number + 1,
        kind=page.kind,
        organisation=planned.organisation.slug if planned.organisation and box else None,
        family=page.family,
        split=planned.split,
        column=planned.column,
        scan=planned.scan,
        dpi=dpi,
        box=box and tuple(round(share, 4) for share in box),  # type: ignore[arg-type]
        title=drawn.title or None,
        number=drawn.number or None,
    )


if __name__ == "__main__":
    main()
