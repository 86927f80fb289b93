"""Pages of words: text in columns, tables, forms with a box at the lower right, empty pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from examples.drawings.blocks import draw_table
from examples.drawings.names import make_number, make_paragraph, make_person, make_title, make_word
from examples.drawings.sheets import BLACK, NARROW, Rectangle, SheetPen, measure_text, wrap_text

FONTS = (
    ("Times-Roman", "Times-Bold"),
    ("Helvetica", "Helvetica-Bold"),
    ("DejaVuSerif", "DejaVuSans-Bold"),
    ("Courier", "Courier-Bold"),
)


def draw_columns_of_text(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """One to three columns, or more on a large sheet, with headings."""
    font, bold = rng.choice(FONTS)
    columns = max(1, min(rng.randint(1, 3), int(area.width / 55))) * (2 if area.width > 400 else 1)
    gap, size = 7.0, rng.choice((3.4, 3.8, 4.2))
    top = area.y1 - 14
    pen.text((area.x0, area.y1 - 7), make_title(rng), 7, bold)
    width = (area.width - gap * (columns - 1)) / columns
    for column in range(columns):
        x = area.x0 + column * (width + gap)
        fill_column(pen, Rectangle(x, area.y0 + 4, x + width, top), size, font, bold, rng)
    pen.text((area.centre[0], area.y0 - 4), str(rng.randint(1, 400)), 3.5, font, "middle")


def fill_column(pen: SheetPen, area: Rectangle, size: float, font: str, bold: str, rng: Random) -> None:
    y = area.y1 - size
    while y > area.y0 + size:
        if rng.random() < 0.25:
            pen.text((area.x0, y - size * 0.6), make_title(rng), size * 1.25, bold)
            y -= size * 2.6
        for line in wrap_text(make_paragraph(rng, rng.randint(2, 6)), size, font, area.width):
            if y < area.y0:
                return
            pen.text((area.x0, y), line, size, font)
            y -= size * 1.3
        y -= size * 0.8


def draw_letter(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    font, bold = rng.choice(FONTS)
    pen.text((area.x1, area.y1 - 6), make_word(rng, 3).capitalize(), 8, bold, "right")
    for line in range(3):
        pen.text((area.x0, area.y1 - 30 - 5 * line), f"{make_word(rng).capitalize()} {rng.randint(1, 300)}", 3.8, font)
    fill_column(pen, Rectangle(area.x0, area.y0 + area.height * 0.3, area.x1, area.y1 - 60), 4.0, font, bold, rng)
    pen.text((area.x0, area.y0 + area.height * 0.2), make_person(rng), 4.0, font)


def draw_contents(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """A list with dotted leaders to page numbers."""
    font, bold = rng.choice(FONTS)
    pen.text((area.x0, area.y1 - 8), make_word(rng, 3).capitalize(), 8, bold)
    y, page = area.y1 - 22, 1
    while y > area.y0 + 5:
        deep = rng.random() < 0.6
        title = make_title(rng)
        start = area.x0 + (8 if deep else 0)
        pen.text((start, y), title, 4, font if deep else bold)
        pen.line((start + measure_text(title, 4, font) + 4, y), (area.x1 - 12, y), 0.3, (0.3, 1.5))
        pen.text((area.x1, y), str(page), 4, font, "right")
        page, y = page + rng.randint(1, 6), y - (6.5 if deep else 8)


def draw_ruled_table(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Rules around all cells; numbers, words and part numbers."""
    font, bold = rng.choice(FONTS)
    columns, rows = rng.randint(3, 8), rng.randint(12, 40)
    kinds = [rng.choice(("word", "number", "code")) for _ in range(columns)]
    cells = [[make_cell(kind, rng) for kind in kinds] for _ in range(rows)]
    cells.append([make_word(rng).capitalize() for _ in kinds])
    pen.text((area.x0, area.y1 - 6), make_title(rng), 5.5, bold)
    height = min(area.height - 14, (rows + 1) * rng.uniform(6, 9))
    draw_table(
        pen,
        Rectangle(area.x0, area.y1 - 12 - height, area.x1, area.y1 - 12),
        cells,
        [rng.randint(2, 5) for _ in kinds],
        font,
        rng.choice((0.15, 0.25, 0.4)),
    )


def make_cell(kind: str, rng: Random) -> str:
    if kind == "word":
        return make_word(rng, 3).capitalize()
    return f"{rng.uniform(0, 1000):.2f}" if kind == "number" else make_number(rng, "@@-####")


def draw_open_table(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Three rules and grey rows, as in papers."""
    font, bold = rng.choice(FONTS)
    columns, rows, step = rng.randint(4, 9), rng.randint(8, 30), 6.5
    rows = min(rows, int((area.height - 30) / step))
    top, width = area.y1 - 18, area.width / columns
    pen.text((area.x0, area.y1 - 6), make_title(rng), 4.5, bold)
    for row in range(rows):
        y = top - (row + 1) * step
        if row % 2 and rng.random() < 0.9:
            pen.box(Rectangle(area.x0, y, area.x1, y + step), 0, fill=(0.9, 0.9, 0.9))
        for column in range(columns):
            text = make_word(rng) if column == 0 or row == 0 else f"{rng.gauss(50, 25):.1f}"
            pen.text((area.x0 + column * width + 1, y + 2), text, 3.6, bold if row == 0 else font)
    for y in (top, top - step, top - rows * step):
        pen.line((area.x0, y), (area.x1, y), 0.4)
    rest = Rectangle(area.x0, area.y0, area.x1, top - rows * step - 12)
    if rest.height > 20:
        fill_column(pen, rest, 3.8, font, bold, rng)


def draw_matrix(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Blocks of figures in a fixed-width font, as programs print them."""
    lines = int(area.height / 5.5)
    for line in range(lines):
        if rng.random() < 0.12:
            continue
        figures = "  ".join(f"{rng.gauss(0, 40):9.4f}" for _ in range(rng.randint(2, 5)))
        pen.text(
            (area.x0, area.y1 - 6 - line * 5.5),
            f"{make_word(rng, 1):8} = {figures}"[: int(area.width / 2.3)],
            3.8,
            "Courier",
        )


def draw_form(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Fields to fill in, and a box at the lower right that looks like a title block from afar."""
    font, bold = rng.choice(FONTS)
    pen.box(area, rng.choice((0.25, 0.5, 0.8)))
    pen.text((area.centre[0], area.y1 - 10), make_title(rng).upper(), 6, bold, "middle")
    box = Rectangle(
        area.x1 - min(area.width * 0.6, rng.uniform(90, 150)), area.y0, area.x1, area.y0 + rng.uniform(28, 50)
    )
    columns, y = rng.choice((1, 2, 3)), area.y1 - 20
    while y - 11 > box.y1 + 6:
        for column in range(columns):
            x0, x1 = area.x0 + area.width * column / columns, area.x0 + area.width * (column + 1) / columns
            pen.box(Rectangle(x0 + 3, y - 9, x1 - 3, y), NARROW)
            pen.text((x0 + 4.5, y - 3), make_word(rng).capitalize(), 2.6, font)
            if rng.random() < 0.5:
                pen.text((x0 + 8, y - 7.5), make_word(rng, 3), 4, font)
        y -= rng.choice((11, 11, 16))
    draw_office_box(pen, box, font, rng)


def draw_office_box(pen: SheetPen, box: Rectangle, font: str, rng: Random) -> None:
    """ "For office use": rows of cells with labels, a stamp in a corner."""
    pen.box(box, 0.5)
    rows = rng.randint(3, 5)
    for row in range(rows):
        y0, y1 = box.y0 + box.height * row / rows, box.y0 + box.height * (row + 1) / rows
        columns = rng.randint(1, 4)
        for column in range(columns):
            x0, x1 = box.x0 + box.width * column / columns, box.x0 + box.width * (column + 1) / columns
            pen.box(Rectangle(x0, y0, x1, y1), NARROW)
            pen.text((x0 + 1, y1 - 2.8), make_word(rng).capitalize(), 2.2, font)
            if rng.random() < 0.6:
                pen.text((x0 + 2, y0 + 1.6), make_number(rng, rng.choice(("####", "##.##.####", "@@###"))), 3.2, font)


def draw_questionnaire(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    font, bold = rng.choice(FONTS)
    pen.text((area.x0, area.y1 - 8), make_title(rng), 6.5, bold)
    y, number = area.y1 - 22, 1
    while y > area.y0 + 30:
        pen.text((area.x0, y), f"{number}. {make_title(rng)}", 4, font)
        for choice in range(rng.randint(2, 5)):
            x = area.x0 + 6 + choice * area.width / 5
            pen.box(Rectangle(x, y - 8, x + 4, y - 4), 0.3)
            if rng.random() < 0.25:
                pen.lines([((x, y - 8), (x + 4, y - 4)), ((x, y - 4), (x + 4, y - 8))], 0.4)
            pen.text((x + 6, y - 7.5), make_word(rng), 3.6, font)
        y, number = y - 17, number + 1
    pen.line((area.x1 - 70, area.y0 + 14), (area.x1, area.y0 + 14), 0.3)
    pen.text((area.x1 - 70, area.y0 + 10), make_word(rng).capitalize(), 3, font)


def draw_nothing(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """An empty page; one in three has a page number."""
    if rng.random() < 0.33:
        pen.text((area.centre[0], area.y0 - 3), str(rng.randint(2, 300)), 3.5, "Times-Roman", "middle", colour=BLACK)


PageDrawer = Callable[[SheetPen, Rectangle, Random], None]
TEXTS: Mapping[str, PageDrawer] = {"columns": draw_columns_of_text, "letter": draw_letter}
TEXTS_APART: Mapping[str, PageDrawer] = {"contents": draw_contents}
TABLES: Mapping[str, PageDrawer] = {"ruled table": draw_ruled_table, "open table": draw_open_table}
TABLES_APART: Mapping[str, PageDrawer] = {"figures": draw_matrix}
FORMS: Mapping[str, PageDrawer] = {"form with a box": draw_form}
FORMS_APART: Mapping[str, PageDrawer] = {"questionnaire": draw_questionnaire}
EMPTIES: Mapping[str, PageDrawer] = {"empty": draw_nothing}
