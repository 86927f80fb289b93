"""Draws a contact sheet of a corpus: a drawing of each organisation, and pages of the other kinds, half of them scans.

python examples/drawings/make_corpus.py corpus --pages 1200
python examples/drawings/contact_sheet.py corpus examples/drawings/contact-sheet.png
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pypdfium2
from PIL import Image, ImageOps

from examples.drawings.make_corpus import CorpusPage, read_corpus

COLUMNS, ROWS = 8, 6
CELL = (160, 124)  # pixels
GAP = 4
GREY_BITS = 5


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", metavar="OUT.png", type=click.Path(dir_okay=False, path_type=Path))
def main(corpus: Path, target: Path) -> None:
    """Draw 48 pages of CORPUS, drawings first.

    \b
    Example:
      python examples/drawings/contact_sheet.py corpus sheet.png
    """
    draw_sheet(corpus, choose_pages(read_corpus(corpus))).save(target, optimize=True)


def choose_pages(lines: Sequence[CorpusPage]) -> list[CorpusPage]:
    """Half drawings, each of another organisation or part family as far as there are; half other pages, by families."""
    half = COLUMNS * ROWS // 2
    drawings = pick([line for line in lines if line.kind == "drawing"], half, "organisation")
    others = pick([line for line in lines if line.kind != "drawing"], half, "family")
    return [*drawings, *sorted(others, key=lambda line: line.kind)]


def pick(lines: Sequence[CorpusPage], number: int, field: str) -> list[CorpusPage]:
    """Scans and others by turns, the least used value of the field first, then the least used family."""
    left, chosen = list(lines), list[CorpusPage]()
    while left and len(chosen) < number:
        values, families = ([getattr(line, name) for line in chosen] for name in (field, "family"))
        wanted = len(chosen) % 2 == 0
        best = min(
            left,
            key=lambda line: (values.count(getattr(line, field)), families.count(line.family), line.scan != wanted),
        )
        left.remove(best)
        chosen.append(best)
    return chosen


def draw_sheet(corpus: Path, lines: Sequence[CorpusPage]) -> Image.Image:
    (width, height), sheet = CELL, Image.new("L", (COLUMNS * CELL[0], ROWS * CELL[1]), 190)
    for number, line in enumerate(lines):
        thumbnail = draw_thumbnail(corpus, line)
        x, y = number % COLUMNS * width, number // COLUMNS * height
        sheet.paste(thumbnail, (x + (width - thumbnail.width) // 2, y + (height - thumbnail.height) // 2))
    return ImageOps.posterize(sheet, GREY_BITS)


def draw_thumbnail(corpus: Path, line: CorpusPage) -> Image.Image:
    """The page as large as its cell allows, drawn at four times that and made smaller: thin lines stay."""
    with pypdfium2.PdfDocument(corpus / line.path) as document:
        page = document[line.page - 1]
        width, height = page.get_size()
        scale = min((CELL[0] - GAP) / width, (CELL[1] - GAP) / height)
        large: Image.Image = page.render(scale=4 * scale, grayscale=True).to_pil()
        return large.resize((round(width * scale), round(height * scale)), Image.Resampling.BOX)


if __name__ == "__main__":
    main()
