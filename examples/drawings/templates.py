"""SVG templates of drawing sheets: their editable texts filled in, drawn as pixels, and where there is room for a part.

H, W pixels
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image

from examples.drawings.names import make_date, make_number, make_person, make_word
from examples.drawings.scans import MOST_PIXELS
from examples.drawings.sheets import Rectangle, Sheet

EDITABLE = "{http://www.freecadweb.org/wiki/index.php?title=Svg_Namespace}editable"
TEXT, SPAN = ("{http://www.w3.org/2000/svg}" + name for name in ("text", "tspan"))
MM_OF_UNIT = {"mm": 1.0, "in": 25.4, "": 1.0}  # a template without a unit counts in mm, as its viewBox does
FINEST = 8.0  # pixels a mm: 200 dots per inch; large sheets get fewer
EXAMINED = 1.5  # pixels a mm, where the frame and the block are looked for
CLEAR = 2.0  # mm between the frame and what is looked for inside it
INK = 200  # grey level, below

InkMask = npt.NDArray[np.bool_]  # (H, W)


@dataclass(frozen=True, slots=True)
class Template:
    """A sheet with a frame and a title block, and editable texts."""

    svg: str
    sheet: Sheet
    inside: Rectangle  # of the frame, without other boxes at its upper edge; mm from the lower left
    block: Rectangle  # the title block


def read_template(file: Path) -> Template:
    """Raises OSError, and ValueError for a file that is no such template."""
    svg = file.read_text(encoding="utf-8")
    root = ElementTree.fromstring(svg)
    width, height = (parse_length(root.get(side, "")) for side in ("width", "height"))
    sheet = Sheet(file.stem, width, height)
    grey = np.asarray(draw_svg(svg, round(width * EXAMINED)))
    inside, block = find_places(grey < INK)
    return Template(svg, sheet, scale_down(inside, height), scale_down(block, height))


def parse_length(text: str) -> float:
    """Return millimetres. Raises ValueError.

    >>> parse_length("297mm"), parse_length("12in")
    (297.0, 304.8)
    """
    found = re.fullmatch(r"([\d.]+)(mm|in|)", text)
    if found is None:
        raise ValueError(f"the size {text!r} of the sheet is not understood")
    return round(float(found[1]) * MM_OF_UNIT[found[2]], 2)


def draw_svg(svg: str, width: int) -> Image.Image:
    """Return it in grey on white, with the fonts of matplotlib: the same pixels on every machine."""
    import resvg_py  # an extra of the project

    png = resvg_py.svg_to_bytes(
        svg_string=svg,
        width=width,
        dpi=96,
        background="white",
        skip_system_fonts=True,
        font_files=list_fonts(),
        font_family="DejaVu Sans",
        serif_family="DejaVu Serif",
        sans_serif_family="DejaVu Sans",
        monospace_family="DejaVu Sans Mono",
    )
    with Image.open(io.BytesIO(bytes(png))) as image:
        return image.convert("L")


@cache
def list_fonts() -> list[str]:
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return [str(folder / f"DejaVu{name}.ttf") for name in ("Sans", "Sans-Bold", "Serif", "SansMono")]


def find_places(ink: InkMask) -> tuple[Rectangle, Rectangle]:
    """Return the inside of the frame and the title block, in pixels from the upper left. Raises ValueError.

    From the middle outwards the first line is the frame, or a block as wide as the sheet.
    """
    height, width = ink.shape
    band = np.any(ink[round(0.35 * height) : round(0.5 * height)], axis=0)
    left, right = find_nearest(band, width // 2)
    column = np.any(ink[:, left + 4 : left + max(width // 20, 8)], axis=1)
    top, bottom = find_nearest(column, round(0.45 * height))
    margin = round(CLEAR * EXAMINED)
    upper = np.flatnonzero(ink[top + margin : height // 3, left + margin : right - margin].any(axis=1))
    if len(upper):  # a box for the number, upside down, at the upper edge
        top += margin + int(upper[-1])
    lower = ink[height // 2 : bottom - margin, left + margin : right - margin]
    rows, columns = np.flatnonzero(lower.any(axis=1)), np.flatnonzero(lower.any(axis=0))
    if len(rows):
        block = (left + margin + int(columns[0]), height // 2 + int(rows[0]), right, bottom)
    else:
        block = (left, bottom, right, int(np.flatnonzero(ink.any(axis=1))[-1]))
    inside = Rectangle(left / EXAMINED, top / EXAMINED, right / EXAMINED, max(bottom, block[3]) / EXAMINED)
    return inside, Rectangle(*(value / EXAMINED for value in block))


def find_nearest(inked: npt.ArrayLike, start: int) -> tuple[int, int]:
    """Return the nearest of the places with ink on both sides of `start`. Raises ValueError where there is none."""
    places = np.flatnonzero(inked)
    before, after = places[places < start], places[places >= start]
    if not len(before) or not len(after):
        raise ValueError("the sheet has no frame")
    return int(before[-1]), int(after[0])


def scale_down(area: Rectangle, height: float) -> Rectangle:
    """From an origin at the upper left to one at the lower left."""
    return Rectangle(area.x0, height - area.y1, area.x1, height - area.y0)


def draw_template(template: Template, rng: Random) -> Image.Image:
    """Return the sheet with new texts, in grey."""
    sheet = template.sheet
    scale = min(FINEST, (MOST_PIXELS / (sheet.width * sheet.height)) ** 0.5)
    return draw_svg(fill_texts(template.svg, rng), round(sheet.width * scale))


def fill_texts(svg: str, rng: Random) -> str:
    """Return it with other words in the editable texts that have any."""
    root = ElementTree.fromstring(svg)
    for element in root.iter(TEXT):
        if EDITABLE in element.attrib:
            spans = [each for each in (element, *element.iter(SPAN)) if (each.text or "").strip()]
            for span in spans:
                span.text = write_text(element.attrib[EDITABLE], (span.text or "").strip(), rng)
    return ElementTree.tostring(root, encoding="unicode")


def write_text(field: str, example: str, rng: Random) -> str:
    """Return a text of the kind of the example: a date, a person, a number or as many words."""
    name = field.lower()
    if "date" in name:
        return make_date(rng, 0, 1).strftime("%d.%m.%Y")
    if any(word in name for word in ("author", "drawn", "check", "approv", "super", "designed")):
        return make_person(rng)
    if any(each.isdigit() for each in example):
        return make_number(rng, "".join("#" if each.isdigit() else each for each in example))
    words = [make_word(rng) if len(word) > 2 else word for word in example.split()]
    return " ".join(word.upper() if example.isupper() else word.capitalize() for word in words)
