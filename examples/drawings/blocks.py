"""Frames, logos and title blocks, as an organisation draws them, with the texts of one page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from examples.drawings.names import make_date, make_number, make_word
from examples.drawings.organisations import COMPANY, LOGO, ORGANISATIONS, BlockCell, Organisation
from examples.drawings.sheets import BLACK, NARROW, WHITE, Rectangle, Sheet, SheetPen, arc_points, fit_text

LABELS = {
    "en": {
        "title": "Title", "number": "Drawing no.", "material": "Material", "scale": "Scale", "date": "Date",
        "drawn": "Drawn", "checked": "Checked", "sheet": "Sheet", "revision": "Rev.", "approved": "Approved",
        "mass": "Mass", "tolerance": "Tolerances", "format": "Size", "surface": "Finish", "project": "Project",
        "replaces": "Replaces", "customer": "Client", "file": "File", "quantity": "Qty", "part": "Part",
        "item": "Item", "change": "Change",
    },
    "de": {
        "title": "Benennung", "number": "Zeichnungs-Nr.", "material": "Werkstoff", "scale": "Maßstab", "date": "Datum",
        "drawn": "Bearb.", "checked": "Gepr.", "sheet": "Blatt", "revision": "Index", "approved": "Norm",
        "mass": "Gewicht", "tolerance": "Allgemeintoleranz", "format": "Format", "surface": "Oberfläche",
        "project": "Projekt", "replaces": "Ersatz für", "customer": "Kunde", "file": "Datei", "quantity": "Menge",
        "part": "Teil", "item": "Pos.", "change": "Änderung",
    },
    "fr": {
        "title": "Désignation", "number": "N° de plan", "material": "Matière", "scale": "Échelle", "date": "Date",
        "drawn": "Dessiné", "checked": "Vérifié", "sheet": "Feuille", "revision": "Indice", "approved": "Approuvé",
        "mass": "Masse", "tolerance": "Tolérances", "format": "Format", "surface": "État de surface",
        "project": "Affaire", "replaces": "Remplace", "customer": "Client", "file": "Fichier", "quantity": "Qté",
        "part": "Pièce", "item": "Rep.", "change": "Modification",
    },
}  # fmt: skip
MATERIALS = (
    "S235JR",
    "C45E",
    "42CrMo4",
    "EN AW-6082 T6",
    "X5CrNi18-10",
    "EN-GJL-250",
    "CuSn12",
    "POM-C",
    "PA6-GF30",
    "11SMn30",
)
TOLERANCES = ("ISO 2768-mK", "ISO 2768-fH", "ISO 2768-m", "ISO 22081 ±0,1", "DIN 7168-m")
FINISHES = ("Ra 3,2", "Ra 1,6", "Ra 6,3", "Rz 25")
LABEL_SIZE, VALUE_SIZE, TITLE_SIZE = 2.1, 3.4, 5.2  # mm, of the fonts
FILING_MARGIN, MARGIN = 20.0, 10.0  # mm, ISO 5457


@dataclass(frozen=True, slots=True)
class BlockTexts:
    """What the block of one page says."""

    values: Mapping[str, str]

    @property
    def title(self) -> str:
        return self.values["title"]

    @property
    def number(self) -> str:
        return self.values["number"]


def write_texts(organisation: Organisation, noun: str, scale: str, sheet: Sheet, rng: Random) -> BlockTexts:
    """New texts for a page: `noun` is what is drawn, in the organisation's language."""
    date = make_date(rng, organisation.index, ORGANISATIONS)
    project = f"{make_word(rng).capitalize()} {organisation.index + 24 * rng.randrange(1, 40)}"
    number = make_number(rng, organisation.numbers)
    mass = f"{rng.uniform(0.05, 40):.2f} kg"
    return BlockTexts(
        {
            "title": f"{noun} {project}",
            "number": number,
            "material": rng.choice(MATERIALS),
            "scale": scale,
            "date": date.strftime(organisation.dates),
            "drawn": rng.choice(organisation.people),
            "checked": rng.choice(organisation.people),
            "approved": rng.choice(organisation.people),
            "sheet": f"{rng.randint(1, 3)} / {rng.randint(3, 6)}",
            "revision": rng.choice("-ABCDE012"),
            "mass": mass.replace(".", ",") if organisation.comma else mass,
            "tolerance": rng.choice(TOLERANCES),
            "format": sheet.name,
            "surface": rng.choice(FINISHES),
            "project": project,
            "replaces": make_number(rng, organisation.numbers),
            "customer": make_word(rng, 3).capitalize(),
            "file": number.lower().replace(" ", "").replace("/", "_") + rng.choice((".dwg", ".idw", ".slddrw", ".prt")),
            LOGO: "",
            COMPANY: organisation.name,
        }
    )


def draw_frame(pen: SheetPen, organisation: Organisation) -> Rectangle:
    """Draw the frame of a sheet and return the area inside it."""
    style = organisation.frame
    left = FILING_MARGIN if style in ("iso", "single", "double", "ticks") else MARGIN
    area = Rectangle(left, MARGIN, pen.area.x1 - MARGIN, pen.area.y1 - MARGIN)
    thick = 0.7 * organisation.line_scale
    if style == "round":
        pen.box(area, thick, round=4)
    elif style == "corners":
        draw_corners(pen, area, thick)
    elif style != "plain":
        pen.box(area, thick)
    if style == "double":
        pen.box(area.grow(3), NARROW)
    elif style == "wide":
        pen.box(area.grow(4), 1.2)
    elif style == "iso":
        pen.box(area.grow(5), NARROW)
        draw_zones(pen, area, 5, organisation.font)
    elif style == "ticks":
        draw_zones(pen, area, 4, "")
    return area


def draw_corners(pen: SheetPen, area: Rectangle, width: float) -> None:
    for x, inward in ((area.x0, 8), (area.x1, -8)):
        for y, upward in ((area.y0, 8), (area.y1, -8)):
            pen.path([(x + inward, y), (x, y), (x, y + upward)], width)


def draw_zones(pen: SheetPen, area: Rectangle, depth: float, font: str) -> None:
    """Grid references around the frame, as in ISO 5457, and centring marks; without a font only their ticks."""
    columns, rows = max(2, round(area.width / 50)), max(2, round(area.height / 50))
    for column in range(columns):
        x, middle = area.x0 + area.width * column / columns, area.x0 + area.width * (column + 0.5) / columns
        for y, outer in ((area.y0, area.y0 - depth), (area.y1, area.y1 + depth)):
            pen.line((x, y), (x, outer))
            if font:
                pen.text((middle, (y + outer) / 2 - 1.1), str(column + 1), 3.2, font, "middle")
    for row in range(rows):
        y, middle = area.y1 - area.height * row / rows, area.y1 - area.height * (row + 0.5) / rows
        for x, outer in ((area.x0, area.x0 - depth), (area.x1, area.x1 + depth)):
            pen.line((x, y), (outer, y))
            if font:
                pen.text(((x + outer) / 2, middle - 1.1), "ABCDEFGHJKLMNPQRSTUVWXYZ"[row], 3.2, font, "middle")
    x, y = area.centre
    pen.line((x, area.y0 - depth), (x, area.y0 + 5), 0.7)
    pen.line((x, area.y1 + depth), (x, area.y1 - 5), 0.7)
    pen.line((area.x0 - depth, y), (area.x0 + 5, y), 0.7)
    pen.line((area.x1 + depth, y), (area.x1 - 5, y), 0.7)


def place_block(organisation: Organisation, inside: Rectangle) -> Rectangle:
    """Where the title block is: at the lower right of the frame, a little off it where the frame has no lines there."""
    gap = 0.0 if organisation.frame in ("iso", "single", "double", "wide", "ticks") else 3.0
    width = min(organisation.block_width, inside.width - 2 * gap)
    right, bottom = inside.x1 - gap, inside.y0 + gap
    return Rectangle(right - width, bottom, right, bottom + organisation.block_height)


def draw_block(pen: SheetPen, organisation: Organisation, texts: BlockTexts, block: Rectangle) -> None:
    for cell in organisation.cells:
        area = place_cell(cell, block)
        pen.box(area, organisation.inner_line)
        draw_cell(pen, organisation, texts, cell.field, area)
    pen.box(block, organisation.outer_line)


def place_cell(cell: BlockCell, block: Rectangle) -> Rectangle:
    return Rectangle(
        block.x0 + cell.x0 * block.width,
        block.y0 + cell.y0 * block.height,
        block.x0 + cell.x1 * block.width,
        block.y0 + cell.y1 * block.height,
    )


def draw_cell(pen: SheetPen, organisation: Organisation, texts: BlockTexts, field: str, area: Rectangle) -> None:
    if field == LOGO:
        draw_logo(pen, organisation, area.grow(-1.5))
    elif field == COMPANY:
        size = fit_text(organisation.name, min(6.0, area.height * 0.5), organisation.bold, area.width - 3)
        pen.text((area.centre[0], area.centre[1] - size * 0.35), organisation.name, size, organisation.bold, "middle")
    elif (field == "surface" and area.width > 24) or field:
        draw_field(pen, organisation, field, texts.values[field], area)


def draw_field(pen: SheetPen, organisation: Organisation, field: str, value: str, area: Rectangle) -> None:
    """The label of a field and its value, where the organisation puts them."""
    label = LABELS[organisation.language][field]
    label = label.upper() if organisation.capitals else label
    font = organisation.bold if field in ("title", "number") else organisation.font
    largest = min(TITLE_SIZE if field in ("title", "number") else VALUE_SIZE, area.height * 0.5)
    if organisation.labels == "left":
        size = fit_text(label, LABEL_SIZE, organisation.font, area.width * 0.4)
        pen.text((area.x0 + 1, area.centre[1] - size * 0.35), label, size, organisation.font)
        start, width = area.x0 + area.width * 0.45, area.width * 0.52
        size = fit_text(value, largest, font, width)
        pen.text((start, area.centre[1] - size * 0.35), value, size, font)
        return
    below = organisation.labels == "below"
    size = fit_text(label, LABEL_SIZE, organisation.font, area.width - 2)
    pen.text((area.x0 + 1, area.y0 + 0.9 if below else area.y1 - size * 0.75 - 0.7), label, size, organisation.font)
    size = fit_text(value, largest, font, area.width - 3)
    room = area.height - LABEL_SIZE - 0.8
    middle = area.y0 + (LABEL_SIZE + 0.8 if below else 0) + room / 2
    pen.text((area.x0 + 1.5, middle - size * 0.33), value, size, font)


def draw_logo(pen: SheetPen, organisation: Organisation, area: Rectangle) -> None:
    """A mark of a few shapes in a square, the same on each page of an organisation."""
    rng = Random(organisation.logo)
    radius = min(area.width, area.height) / 2
    x, y = area.centre
    outline(pen, rng, (x, y), radius)
    inner = rng.choice(("letter", "bars", "wheel", "steps", "letter", "wave"))
    filled = rng.random() < 0.4
    if inner == "letter":
        size = radius * 1.1
        pen.text((x, y - size * 0.35), organisation.name[0], size, organisation.bold, "middle")
    elif inner == "bars":
        draw_bars(pen, rng, (x, y), radius * 0.6)
    elif inner == "wheel":
        spokes = rng.randint(5, 9)
        pen.lines([((x, y), end) for end in arc_points((x, y), radius * 0.6, 0, 360, spokes)], radius * 0.07)
        pen.circle((x, y), radius * 0.2, radius * 0.07, fill=BLACK if filled else WHITE)
    elif inner == "steps":
        edge = radius * 0.5
        steps = [(-edge, -edge), (edge, -edge), (edge, 0), (0, 0), (0, edge), (-edge, edge)]
        pen.path([(x + a, y + b) for a, b in steps], radius * 0.08, closed=True, fill=BLACK if filled else None)
    else:
        wave = [(x + radius * 0.6 * (t / 10 - 1), y + radius * 0.3 * math.sin(t * 0.63)) for t in range(21)]
        pen.path(wave, radius * 0.12)


def outline(pen: SheetPen, rng: Random, centre: tuple[float, float], radius: float) -> None:
    sides = rng.choice((0, 3, 4, 5, 6, 6, 8, 0))
    width, turn = radius * rng.choice((0.06, 0.1, 0.16)), rng.choice((0, 30, 45, 90))
    radius *= 0.94
    if sides:
        pen.path(arc_points(centre, radius, turn, turn + 360, sides)[:-1], width, closed=True)
    else:
        pen.circle(centre, radius, width)
        if rng.random() < 0.5:
            pen.circle(centre, radius * 0.8, width / 2)


def draw_bars(pen: SheetPen, rng: Random, centre: tuple[float, float], radius: float) -> None:
    heights = [rng.uniform(0.3, 1) for _ in range(rng.randint(3, 5))]
    step = 2 * radius / len(heights)
    for number, height in enumerate(heights):
        x = centre[0] - radius + number * step
        pen.box(
            Rectangle(x, centre[1] - radius, x + step * 0.6, centre[1] - radius + 2 * radius * height), 0, fill=BLACK
        )


def draw_table(
    pen: SheetPen, area: Rectangle, rows: Sequence[Sequence[str]], widths: Sequence[float], font: str, line: float
) -> None:
    """A ruled table: its first row is the lowest, as parts lists above a title block grow."""
    total, step = sum(widths), area.height / len(rows)
    borders = [area.x0 + area.width * sum(widths[:number]) / total for number in range(len(widths) + 1)]
    for number, row in enumerate(rows):
        base = area.y0 + number * step
        for left, right, text in zip(borders, borders[1:], row, strict=False):
            size = fit_text(text, min(3.0, step * 0.6), font, right - left - 1.6)
            pen.text((left + 0.8, base + step / 2 - size * 0.35), text, size, font)
    rules = [((x, area.y0), (x, area.y1)) for x in borders]
    rules += [
        ((area.x0, area.y0 + number * step), (area.x1, area.y0 + number * step)) for number in range(len(rows) + 1)
    ]
    pen.lines(rules, line)
