"""Draws the pictures of docs/drawings.md: a title block as a model sees it, and the figures of the page as bars.

python examples/drawings/make_corpus.py corpus --pages 160 --seed 3
python examples/drawings/story_pictures.py corpus docs
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import click
import matplotlib.pyplot as plt
import pypdfium2
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from PIL import Image

from clip_vectorizer.query.evaluation.pages_views import DRAWN_SIDE, cut_corner
from clip_vectorizer.region_crops import center_on_square
from examples.drawings.make_corpus import CorpusPage, Shares, read_corpus

TABLES = Path(__file__).with_name("experiment.md")
BLOCK_PICTURE, FIGURES_PICTURE = "drawings-block.png", "drawings-figures.png"
SEEN_SIDE = 224  # pixels that most CLIP models look at
COLOURS = 64  # of a picture
ENCODERS = {"emoji": "emoji", "random-model": "random weights", "pages-model": "SimCLR"}
PANELS = (
    ("Drawing against the rest, other families", "padded page", "drawings among pages\nAP, other families"),
    ("Drawing against the rest, real PDFs", "padded page", "drawings among pages\nAP, real PDFs"),
    ("Same part family, same generator", "padded page", "same part family\nmAP, same generator"),
    ("Same organisation, same generator", "padded page", "same organisation\nmAP, whole page"),
    ("Same organisation, same generator", "corner, re-ranked", "same organisation\nmAP, corner and rules"),
)
NUMBERS = re.compile(r"(-?[\d.]+) \((-?[\d.]+) to (-?[\d.]+)\)")

FigureKey = tuple[str, str, str]  # table, encoder, what it looks at
Interval = tuple[float, float, float]  # value, low, high


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("target", metavar="FOLDER", type=click.Path(file_okay=False, exists=True, path_type=Path))
def main(corpus: Path, target: Path) -> None:
    """Draw both pictures into FOLDER: the first with a page of CORPUS, the second from the tables of experiment.md.

    \b
    Example:
      python examples/drawings/story_pictures.py corpus docs
    """
    line = choose_page(read_corpus(corpus))
    save(plot_block(draw_page(corpus, line), line.box), target / BLOCK_PICTURE)
    save(plot_figures(read_figures(TABLES.read_text(encoding="utf-8"))), target / FIGURES_PICTURE)


def choose_page(lines: list[CorpusPage]) -> CorpusPage:
    """A drawing that was not scanned, with the widest title block that its corner holds."""
    corners = [(line, line.box) for line in lines if line.kind == "drawing" and line.box and not line.scan]
    inside = [(box[2] - box[0], number) for number, (_, box) in enumerate(corners) if box[0] > 0.5 and box[1] > 0.65]
    return corners[max(inside)[1]][0]


def draw_page(corpus: Path, line: CorpusPage) -> Image.Image:
    with pypdfium2.PdfDocument(corpus / line.path) as document:
        page = document[line.page - 1]
        drawn: Image.Image = page.render(scale=DRAWN_SIDE / max(page.get_size())).to_pil().convert("RGB")
        return drawn


def see(picture: Image.Image) -> Image.Image:
    """The picture as a model gets it: on a white square, and small."""
    return center_on_square(picture).resize((SEEN_SIDE, SEEN_SIDE), Image.Resampling.BICUBIC)


def plot_block(picture: Image.Image, box: Shares | None) -> Canvas:
    """The page, its title block as it is in the page, and as it is in the lower right corner, at the same pixels."""
    x0, y0, x1, y1 = box or (0.5, 0.65, 1.0, 1.0)
    width, height = picture.size
    corner = cut_corner(picture)
    left, top = width - corner.width, height - corner.height
    inside = (max(x0 * width - left, 0), max(y0 * height - top, 0), x1 * width - left, y1 * height - top)
    in_page = cut_seen(picture, (x0 * width, y0 * height, x1 * width, y1 * height))
    in_corner = cut_seen(corner, inside)
    canvas, axes = plt.subplots(1, 3, figsize=(10, 3.2), dpi=80, width_ratios=(1, 1.3, 1.3), layout="constrained")
    show_picture(axes[0], see(picture), f"the page, {SEEN_SIDE} pixels")
    show_picture(axes[1], in_page, "its title block: {} x {} of them".format(*in_page.size))
    show_picture(axes[2], in_corner, "in the corner crop: {} x {}".format(*in_corner.size))
    return canvas


def cut_seen(picture: Image.Image, box: tuple[float, float, float, float]) -> Image.Image:
    """What a model gets of a part of the picture; `box` in pixels of the picture."""
    side = max(picture.size)
    move = [(side - edge) / 2 for edge in picture.size]
    edges = [(value + move[number % 2]) * SEEN_SIDE / side for number, value in enumerate(box)]
    return see(picture).crop((round(edges[0]), round(edges[1]), round(edges[2]), round(edges[3])))


def show_picture(axes: Axes, picture: Image.Image, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xticks([])
    axes.set_yticks([])


def read_figures(text: str) -> dict[FigureKey, Interval]:
    """The first figure of each row of the tables of the experiment."""
    figures: dict[FigureKey, Interval] = {}
    table = ""
    for line in text.splitlines():
        if found := re.match(r"## (.+)", line):
            table = found[1]
        elif table and line.startswith("| ") and (numbers := NUMBERS.search(line)):
            encoder, looking = (cell.strip() for cell in line.split("|")[1:3])
            figures[table, encoder, looking] = (float(numbers[1]), float(numbers[2]), float(numbers[3]))
    return figures


def plot_figures(figures: Mapping[FigureKey, Interval]) -> Canvas:
    """A panel for each task: the encoders as bars with their 95 % intervals."""
    canvas, panels = plt.subplots(1, len(PANELS), figsize=(12, 2.2), dpi=80, sharey=True, layout="constrained")
    for axes, (table, looking, title) in zip(panels, PANELS, strict=True):
        for place, encoder in enumerate(reversed(ENCODERS)):
            value, low, high = figures[table, encoder, looking]
            axes.barh(place, value, xerr=[[value - low], [high - value]], color=f"C{place}", capsize=3)
        axes.set_title(title, fontsize=10)
        axes.set_xlim(0, 1.02)
    panels[0].set_yticks(range(len(ENCODERS)), reversed(ENCODERS.values()))
    return canvas


def save(canvas: Canvas, target: Path) -> None:
    """As PNG of few colours, without a date."""
    data = io.BytesIO()
    canvas.savefig(data)
    plt.close(canvas)
    with Image.open(data) as drawn:
        drawn.convert("RGB").quantize(COLOURS).save(target, optimize=True)


if __name__ == "__main__":
    main()
