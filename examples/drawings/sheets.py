"""Sheets of paper and the pen that draws on them: millimetres from the lower left corner, y upwards.

Line widths are those of ISO 128-20, group 0.5: wide lines 0.5 mm, narrow lines 0.25 mm, scaled by an organisation.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import matplotlib
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

POINTS_PER_MM = 72 / 25.4
WIDE, NARROW = 0.5, 0.25  # mm
HIDDEN, CENTRE = (3.0, 1.5), (8.0, 1.5, 1.0, 1.5)  # mm of dash and gap
CIRCLE_CONTROL = 0.5523  # of the radius: the control points of a quarter of a circle, 4/3 (sqrt(2) - 1)
EMBEDDED = {  # fonts that matplotlib brings along; the others are among the 14 of every PDF viewer
    "DejaVuSans": "DejaVuSans.ttf",
    "DejaVuSans-Bold": "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique": "DejaVuSans-Oblique.ttf",
    "DejaVuSerif": "DejaVuSerif.ttf",
    "DejaVuSansMono": "DejaVuSansMono.ttf",
    "STIXGeneral": "STIXGeneral.ttf",
}

Point = tuple[float, float]
Colour = tuple[float, float, float]
BLACK: Colour = (0.0, 0.0, 0.0)
WHITE: Colour = (1.0, 1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Left, bottom, right, top in mm."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        return self.y1 - self.y0

    @property
    def centre(self) -> Point:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def grow(self, margin: float) -> Rectangle:
        return Rectangle(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def contains(self, other: Rectangle) -> bool:
        return self.x0 <= other.x0 and self.y0 <= other.y0 and self.x1 >= other.x1 and self.y1 >= other.y1

    def overlaps(self, other: Rectangle) -> bool:
        return self.x0 < other.x1 and other.x0 < self.x1 and self.y0 < other.y1 and other.y0 < self.y1


@dataclass(frozen=True, slots=True)
class Sheet:
    """ISO 216 paper, as it is looked at."""

    name: str
    width: float  # mm
    height: float  # mm

    @property
    def zoom(self) -> float:
        """How much larger everything is drawn than on A4: large sheets are read from further away."""
        return math.sqrt(2) if max(self.width, self.height) > 500 else 1.0


SIZES = {"A4": (210.0, 297.0), "A3": (297.0, 420.0), "A2": (420.0, 594.0), "A1": (594.0, 841.0)}  # mm, upright
SHARES = {"A4": 0.4, "A3": 0.35, "A2": 0.15, "A1": 0.1}  # the same for every kind: paper must not give a kind away
LANDSCAPE_SHARE = 0.6


def choose_sheet(rng: Random) -> Sheet:
    name = rng.choices(list(SHARES), list(SHARES.values()))[0]
    short, long = SIZES[name]
    return Sheet(name, long, short) if rng.random() < LANDSCAPE_SHARE else Sheet(name, short, long)


@cache
def register_font(name: str) -> str:
    """Make a font known to reportlab, once, and return its name."""
    if name in EMBEDDED:
        folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
        pdfmetrics.registerFont(TTFont(name, str(folder / EMBEDDED[name])))
    return name


def measure_text(text: str, size: float, font: str) -> float:
    """The width in mm of a text whose font size is `size` mm."""
    return float(pdfmetrics.stringWidth(text, register_font(font), size))


def fit_text(text: str, size: float, font: str, width: float) -> float:
    """The font size, at most `size`, at which a text is at most `width` wide."""
    return min(size, size * width / max(measure_text(text, size, font), 1e-6))


def wrap_text(text: str, size: float, font: str, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and measure_text(longer, size, font) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


class SheetPen:
    """Draws on one page of a canvas, in mm, times the zoom of a large sheet: its `area` is smaller than the paper then.

    Paths are written as operators of PDF, which is several times as fast as reportlab's own methods.
    """

    def __init__(self, canvas: Canvas, sheet: Sheet) -> None:
        self.canvas, self.sheet, self.zoom = canvas, sheet, sheet.zoom
        self.area = Rectangle(0, 0, sheet.width / self.zoom, sheet.height / self.zoom)
        canvas.setPageSize((sheet.width * POINTS_PER_MM, sheet.height * POINTS_PER_MM))
        canvas.scale(POINTS_PER_MM * self.zoom, POINTS_PER_MM * self.zoom)
        canvas.setLineCap(1)
        canvas.setLineJoin(1)

    def line(self, start: Point, end: Point, width: float = NARROW, dash: Sequence[float] = ()) -> None:
        self.lines([(start, end)], width, dash)

    def lines(
        self,
        pairs: Iterable[tuple[Point, Point]],
        width: float = NARROW,
        dash: Sequence[float] = (),
        colour: Colour = BLACK,
    ) -> None:
        """Many strokes as one path."""
        path = " ".join(f"{x0:.3f} {y0:.3f} m {x1:.3f} {y1:.3f} l" for (x0, y0), (x1, y1) in pairs)
        self.paint(path, width, dash, colour, None)

    def path(
        self,
        points: Sequence[Point],
        width: float = NARROW,
        dash: Sequence[float] = (),
        closed: bool = False,
        colour: Colour = BLACK,
        fill: Colour | None = None,
    ) -> None:
        """A line through the points; `width` 0 fills without an outline."""
        path = " l ".join(f"{x:.3f} {y:.3f}" for x, y in points).replace(" l ", " m ", 1)
        self.paint(f"{path} l{' h' if closed else ''}", width, dash, colour, fill)

    def box(self, area: Rectangle, width: float = NARROW, fill: Colour | None = None, round: float = 0) -> None:
        if round:
            self.path(round_corners(area, round), width, closed=True, fill=fill)
        else:
            path = f"{area.x0:.3f} {area.y0:.3f} {area.width:.3f} {area.height:.3f} re"
            self.paint(path, width, (), BLACK, fill)

    def circle(
        self,
        centre: Point,
        radius: float,
        width: float = NARROW,
        dash: Sequence[float] = (),
        fill: Colour | None = None,
    ) -> None:
        """Four curves."""
        (x, y), r, k = centre, radius, radius * CIRCLE_CONTROL
        path = (
            f"{x + r:.3f} {y:.3f} m "
            f"{x + r:.3f} {y + k:.3f} {x + k:.3f} {y + r:.3f} {x:.3f} {y + r:.3f} c "
            f"{x - k:.3f} {y + r:.3f} {x - r:.3f} {y + k:.3f} {x - r:.3f} {y:.3f} c "
            f"{x - r:.3f} {y - k:.3f} {x - k:.3f} {y - r:.3f} {x:.3f} {y - r:.3f} c "
            f"{x + k:.3f} {y - r:.3f} {x + r:.3f} {y - k:.3f} {x + r:.3f} {y:.3f} c h"
        )
        self.paint(path, width, dash, BLACK, fill)

    def paint(self, path: str, width: float, dash: Sequence[float], colour: Colour, fill: Colour | None) -> None:
        """Stroke and fill a path; nothing is left of its style for what follows."""
        operator = "B" if width and fill else "f" if fill else "S"
        inside = write_colour(fill, "rg") if fill else ""
        dashes = " ".join(f"{length:g}" for length in dash)
        style = f"{width:.3f} w [{dashes}] 0 d {write_colour(colour, 'RG')}" if width else ""
        self.canvas.addLiteral(f"q {style} {inside} {path} {operator} Q")

    def text(
        self,
        at: Point,
        text: str,
        size: float,
        font: str,
        anchor: str = "left",
        angle: float = 0,
        colour: Colour = BLACK,
    ) -> None:
        """`at` is on the base line, at the text's left, middle or right; `angle` in degrees."""
        canvas = self.canvas
        canvas.setFillColorRGB(*colour)
        canvas.setFont(register_font(font), size)
        draw = {"left": canvas.drawString, "middle": canvas.drawCentredString, "right": canvas.drawRightString}[anchor]
        if not angle:
            draw(*at, text)
            return
        canvas.saveState()
        canvas.translate(*at)
        canvas.rotate(angle)
        draw(0, 0, text)
        canvas.restoreState()

    def picture(self, image: Image.Image, area: Rectangle, quality: int = 75) -> None:
        """An image as JPEG, stretched to the area."""
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        file.seek(0)
        self.canvas.drawImage(ImageReader(file), area.x0, area.y0, area.width, area.height)


def write_colour(colour: Colour, operator: str) -> str:
    red, green, blue = colour
    return f"{red:.3f} {green:.3f} {blue:.3f} {operator}"


def round_corners(area: Rectangle, radius: float) -> list[Point]:
    """The outline of a rectangle with round corners."""
    corners = ((area.x1, area.y0, 270), (area.x1, area.y1, 0), (area.x0, area.y1, 90), (area.x0, area.y0, 180))
    inner = area.grow(-radius)
    points: list[Point] = []
    for x, y, start in corners:
        centre = (min(max(x, inner.x0), inner.x1), min(max(y, inner.y0), inner.y1))
        points += arc_points(centre, radius, start, start + 90, 6)
    return points


def arc_points(centre: Point, radius: float, start: float, end: float, steps: int = 24) -> list[Point]:
    """Points on an arc from `start` to `end` degrees, both included."""
    angles = [math.radians(start + (end - start) * step / steps) for step in range(steps + 1)]
    return [(centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle)) for angle in angles]
