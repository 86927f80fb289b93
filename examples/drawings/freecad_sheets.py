"""Makes PDF files of parts on the sheets of FreeCAD's TechDraw, whose title blocks nobody drew for this corpus.

    python examples/drawings/freecad_sheets.py /tmp/freecad

`freecad_sheets.tsv` has the templates with their hashes and the design of each one's title block, decided by eye;
sheets without a block, and those that are no well-formed XML, are not in it. The templates (LGPL-2.1+ and similar) are
fetched and not part of this project. Parts and the pages that are no drawings are those of the corpus's test pages;
`pages.jsonl` is as that of the corpus, with the column "FreeCAD templates" and the design as the organisation.
The fonts are DejaVu's, which has no Chinese characters: boxes stand for them.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

import click
from reportlab import rl_config
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from examples.drawings.corpus_plan import DRAWERS_APART, DRAWING, OTHER, TEST, PlannedPage, cut, list_others
from examples.drawings.listed_files import HOST, ListedFile, fetch
from examples.drawings.make_corpus import (
    LIST,
    STRAIGHT,
    CorpusPage,
    DrawnPage,
    draw_page,
    keep_off,
    scan_file,
)
from examples.drawings.organisations import Organisation, list_organisations
from examples.drawings.part_drawings import FAMILIES_APART, draw_beside, place_views
from examples.drawings.scans import choose_pose, choose_scanner
from examples.drawings.sheets import Rectangle, SheetPen, choose_sheet
from examples.drawings.templates import Template, draw_template, read_template
from examples.drawings.view_pen import ViewPen

SHEETS = Path(__file__).with_name("freecad_sheets.tsv")
REPOSITORY, TAG, FOLDER = "FreeCAD/FreeCAD", "0.20.2", "src/Mod/TechDraw/Templates"
COLUMN = "FreeCAD templates"
MOST_SHEETS = 6  # of a file
ON_TEMPLATE = ("piping",)  # half of them: the block alone does not make a drawing
KEPT_TEMPLATES = "templates"  # folder of the output


@dataclass(frozen=True, slots=True)
class SheetPage:
    """What a page of a file is to have."""

    page: PlannedPage
    template: Template | None


@dataclass(frozen=True, slots=True)
class SheetFile:
    name: str
    design: str | None
    scan: bool
    pages: tuple[SheetPage, ...]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--templates",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with the templates, as TechDraw has them, to read instead of the network.",
)
@click.option("--pages", type=click.IntRange(min=20), default=240, show_default=True, help="How many pages.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed gives other pages.")
def main(out: Path, templates: Path | None, pages: int, seed: int) -> None:
    """Write PDF files to OUT, and OUT/pages.jsonl. Half of the pages are drawings, half are scans.

    A template that cannot be had is named and left out; the exit code is then 3.

    \b
    Example:
      python examples/drawings/freecad_sheets.py /tmp/freecad
    """
    if (out / LIST).exists():
        raise click.UsageError(f"{out} has pages already; remove it or name another folder")
    listed = read_list()
    out.mkdir(parents=True, exist_ok=True)
    by_design = read_templates(listed, templates or out / KEPT_TEMPLATES, fetches=templates is None)
    if not by_design:
        raise click.ClickException(
            f"there is no template; {HOST} cannot be reached, or --templates has none of the list"
        )
    lines = make_pages(out, plan_pages(by_design, pages, seed), seed)
    text = "".join(json.dumps(asdict(line), ensure_ascii=False) + "\n" for line in lines)
    (out / LIST).write_text(text, encoding="utf-8")
    got = sum(map(len, by_design.values()))
    click.echo(f"{got} of {len(listed)} templates of {len(by_design)} designs, {len(lines)} pages")
    sys.exit(0 if got == len(listed) else 3)


def read_list() -> list[tuple[ListedFile, str]]:
    """Return the templates and the design of each one's title block."""
    with SHEETS.open(encoding="utf-8", newline="") as stream:
        return [
            (ListedFile(REPOSITORY, TAG, f"{FOLDER}/{row['path']}", row["sha256"], row["path"]), row["design"])
            for row in csv.DictReader(stream, delimiter="\t")
        ]


def read_templates(listed: Sequence[tuple[ListedFile, str]], folder: Path, fetches: bool) -> dict[str, list[Template]]:
    """Return the templates of each design; those that are not in `folder` are fetched there or left out."""
    by_design: dict[str, list[Template]] = {}
    for number, (file, design) in enumerate(listed, 1):
        if fetches and not fetch(file, folder, None, f"{number} of {len(listed)}"):
            continue
        try:
            by_design.setdefault(design, []).append(read_template(folder / file.name))
        except (OSError, ValueError, SyntaxError) as error:  # SyntaxError: of XML
            click.echo(f"left out: {file.name}: {error}", err=True)
    return {design: found for design, found in by_design.items() if found}


def plan_pages(by_design: Mapping[str, Sequence[Template]], pages: int, seed: int) -> list[SheetFile]:
    """Return the files: as many drawings of each design, some schematics on its sheets, and files of other pages."""
    rng = Random(f"freecad plan {seed}")
    families = list(FAMILIES_APART)
    drawn = [PlannedPage(DRAWING, families[number % len(families)], True) for number in range(pages // 2)]
    rng.shuffle(drawn)
    others = list_others(pages - pages // 2, OTHER, rng)
    framed = [each for each in others if each.family in ON_TEMPLATE and rng.random() < 0.5]
    plain = [each for each in others if not any(each is other for other in framed)]
    files: list[tuple[str, str | None, tuple[SheetPage, ...]]] = []
    for place, (design, templates) in enumerate(sorted(by_design.items())):
        own = [*drawn[place :: len(by_design)], *framed[place :: len(by_design)]]
        rng.shuffle(own)
        sheets = [SheetPage(page, rng.choice(templates)) for page in own]
        slug = design.lower().replace(" ", "-")
        files += [(f"{slug}-{number:02}.pdf", design, part) for number, part in enumerate(split(sheets, rng), 1)]
    for number, part in enumerate(cut(plain, rng), 1):
        files.append((f"other-{number:02}.pdf", None, tuple(SheetPage(page, None) for page in part)))
    scans = choose_halves([len(part) for _, _, part in files])
    return [SheetFile(name, design, scan, part) for (name, design, part), scan in zip(files, scans, strict=True)]


def split(sheets: Sequence[SheetPage], rng: Random) -> list[tuple[SheetPage, ...]]:
    """Files of 1 to MOST_SHEETS pages."""
    files: list[tuple[SheetPage, ...]] = []
    while (start := sum(map(len, files))) < len(sheets):
        files.append(tuple(sheets[start : start + rng.randint(1, MOST_SHEETS)]))
    return files


def choose_halves(lengths: Sequence[int]) -> list[bool]:
    """Whether each file is scanned: the pages of both sorts stay equally many.

    >>> choose_halves([3, 2, 2])
    [True, False, False]
    """
    chosen, ahead = [], 0
    for length in lengths:
        chosen.append(ahead <= 0)
        ahead += length if chosen[-1] else -length
    return chosen


def make_pages(out: Path, files: Sequence[SheetFile], seed: int) -> list[CorpusPage]:
    lines: list[CorpusPage] = []
    for file in files:
        data, drawn = draw_file(file, seed)
        rng = Random(f"freecad scan {seed} {file.name}")
        poses, dpi = [STRAIGHT] * len(drawn), None
        if file.scan:
            scanner, poses = choose_scanner(rng), [choose_pose(rng) for _ in drawn]
            data, dpi = scan_file(data, drawn, scanner, poses, rng), scanner.dpi
        (out / file.name).write_bytes(data)
        for number, (sheet, page, pose) in enumerate(zip(file.pages, drawn, poses, strict=True), 1):
            box = pose.move(page.block, page.sheet) if page.block else None
            lines.append(
                CorpusPage(
                    path=file.name,
                    page=number,
                    kind=sheet.page.kind,
                    organisation=file.design if page.block else None,
                    family=sheet.page.family,
                    split=TEST,
                    column=COLUMN,
                    scan=file.scan,
                    dpi=dpi,
                    box=box and tuple(round(share, 4) for share in box),  # type: ignore[arg-type]
                    title=None,
                    number=None,
                )
            )
    return lines


def draw_file(file: SheetFile, seed: int) -> tuple[bytes, list[DrawnPage]]:
    rl_config.useA85 = 0  # as in the corpus
    buffer = io.BytesIO()
    canvas = Canvas(buffer, invariant=1, pageCompression=1)
    drawn = []
    for number, each in enumerate(file.pages):
        rng = Random(f"freecad page {seed} {file.name} {number}")
        if each.template is None:
            drawn.append(draw_page(SheetPen(canvas, choose_sheet(rng)), None, each.page, rng))
        else:
            drawn.append(draw_sheet(canvas, each.template, each.page, rng))
        canvas.showPage()
    canvas.save()
    return buffer.getvalue(), drawn


def draw_sheet(canvas: Canvas, template: Template, page: PlannedPage, rng: Random) -> DrawnPage:
    """Draw the template as a picture, and the part or the schematic over it."""
    pen = SheetPen(canvas, template.sheet)
    picture = draw_template(template, rng)
    canvas.drawImage(ImageReader(picture), 0, 0, pen.area.width, pen.area.height)
    inside, block = (shrink(area, pen.zoom) for area in (template.inside, template.block))
    if page.kind == DRAWING:
        draw_part(pen, rng.choice(list_organisations()), page.family, inside, block, rng)
    else:
        DRAWERS_APART[page.kind][page.family](pen, keep_off(inside, block), rng)
    return DrawnPage(template.sheet, template.block, "", "")


def shrink(area: Rectangle, zoom: float) -> Rectangle:
    return Rectangle(area.x0 / zoom, area.y0 / zoom, area.x1 / zoom, area.y1 / zoom)


def draw_part(
    pen: SheetPen, style: Organisation, family: str, inside: Rectangle, block: Rectangle, rng: Random
) -> None:
    """Draw a part with the lines and letters of one of the corpus's organisations, off the title block."""
    part = FAMILIES_APART[family](rng)
    taken = Rectangle(block.x0 - 3, block.y0, block.x1, block.y1 + 3)
    placed = place_views(style, part, inside, taken, pen.zoom)
    for key, view in part.views.items():
        ViewPen(pen, style, view, placed.origins[key], placed.scale / pen.zoom).draw()
    draw_beside(pen, style, part, inside, [taken, *placed.areas], rng)


if __name__ == "__main__":
    main()
