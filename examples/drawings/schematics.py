"""Line work that is no drawing of a part: circuits, block diagrams, patent figures; piping in test pages only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from random import Random

from examples.drawings.names import make_word
from examples.drawings.parts import make_bracket, make_crank
from examples.drawings.parts_turned import make_gear
from examples.drawings.sheets import BLACK, NARROW, WHITE, Point, Rectangle, SheetPen, arc_points
from examples.drawings.views import View

FONT, BOLD, SERIF = "Helvetica", "Helvetica-Bold", "Times-Roman"
WIRE, PIN_STEP = 0.3, 5.0  # mm


def draw_circuit(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Symbols on a grid of wires that meet at dots."""
    step = rng.choice((18.0, 22.0, 26.0))
    columns, rows = max(3, int(area.width / step) - 1), max(3, int(area.height / step) - 1)
    count: dict[str, int] = {}
    for row in range(rows):
        for column in range(columns):
            at = (area.x0 + (column + 0.6) * step, area.y0 + (row + 0.7) * step)
            if rng.random() < 0.62:
                draw_component(pen, at, (at[0] + step, at[1]), rng, count)
            if rng.random() < 0.4:
                draw_component(pen, at, (at[0], at[1] + step), rng, count)
            if rng.random() < 0.4:
                pen.circle(at, 0.7, 0, fill=BLACK)
    chips: list[Rectangle] = []
    for _ in range(rng.randint(1, 3)):
        chip = place_chip(area, step, rng)
        if not any(chip.grow(12).overlaps(other) for other in chips):
            draw_chip(pen, chip, rng)
            chips.append(chip)


def draw_component(pen: SheetPen, start: Point, end: Point, rng: Random, count: dict[str, int]) -> None:
    kind = rng.choices(("R", "C", "L", "D", "", "G"), (4, 3, 2, 2, 7, 1))[0]
    flat, length = start[1] == end[1], abs(end[0] - start[0]) + abs(end[1] - start[1])
    unit = (1.0, 0.0) if flat else (0.0, 1.0)

    def put(along: float, across: float) -> Point:
        return start[0] + unit[0] * along - unit[1] * across, start[1] + unit[1] * along + unit[0] * across

    middle = length / 2
    if kind in ("", "G"):
        pen.line(start, end, WIRE)
        if kind == "G":
            pen.lines(
                [((start[0] - w, start[1] - h), (start[0] + w, start[1] - h)) for w, h in ((3, 3), (2, 4), (1, 5))],
                WIRE,
            )
            pen.line(start, (start[0], start[1] - 3), WIRE)
        return
    half = {"R": 4.0, "C": 0.8, "L": 4.0, "D": 2.0}[kind]
    pen.lines([(start, put(middle - half, 0)), (put(middle + half, 0), end)], WIRE)
    if kind == "R":
        pen.path(
            [put(middle - 4, -1.4), put(middle + 4, -1.4), put(middle + 4, 1.4), put(middle - 4, 1.4)],
            WIRE,
            closed=True,
        )
    elif kind == "C":
        pen.lines([(put(middle + side, -2.6), put(middle + side, 2.6)) for side in (-0.8, 0.8)], WIRE * 1.6)
    elif kind == "L":
        for turn in range(4):
            points = arc_points((0, 0), 1, 0, 180, 8)
            pen.path([put(middle - 3 + 2 * turn + x, y) for x, y in points], WIRE)
    else:
        pen.path([put(middle - 2, -2), put(middle + 2, 0), put(middle - 2, 2)], WIRE, closed=True)
        pen.line(put(middle + 2, -2), put(middle + 2, 2), WIRE)
    count[kind] = count.get(kind, 0) + 1
    pen.text(put(middle - 2, 3.4 if flat else -3.2), f"{kind}{count[kind]}", 2.6, FONT)


def place_chip(area: Rectangle, step: float, rng: Random) -> Rectangle:
    width, height = step * 1.2, rng.randint(4, 9) * PIN_STEP
    x = area.x0 + rng.uniform(0.1, 0.7) * max(area.width - width, 1)
    y = area.y0 + rng.uniform(0.1, 0.7) * max(area.height - height, 1)
    return Rectangle(x, y, x + width, y + height)


def draw_chip(pen: SheetPen, chip: Rectangle, rng: Random) -> None:
    """A box with named pins at both sides."""
    pen.box(chip, 0.5, fill=WHITE)
    for pin in range(round(chip.height / PIN_STEP)):
        at = chip.y0 + (pin + 0.5) * PIN_STEP
        pen.lines([((chip.x0 - 6, at), (chip.x0, at)), ((chip.x1, at), (chip.x1 + 6, at))], WIRE)
        pen.text((chip.x0 + 1, at - 0.8), make_word(rng, 1).upper()[:3], 2.3, FONT)
        pen.text((chip.x1 - 1, at - 0.8), f"P{pin}", 2.3, FONT, "right")
    name = f"U{rng.randint(1, 20)} {make_word(rng).upper()}"
    pen.text((chip.centre[0], chip.y1 + 1.5), name, 3.0, BOLD, "middle")


def draw_block_diagram(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Boxes with words and arrows between neighbours."""
    columns, rows = rng.randint(2, 4), rng.randint(3, 6)
    width, height = area.width / columns, area.height / rows
    for row in range(rows):
        for column in range(columns):
            x, y = area.x0 + column * width, area.y0 + row * height
            box = Rectangle(x + width * 0.14, y + height * 0.26, x + width * 0.86, y + height * 0.74)
            middle = box.centre
            if rng.random() < 0.2:
                pen.path(
                    [(box.x0, middle[1]), (middle[0], box.y0), (box.x1, middle[1]), (middle[0], box.y1)],
                    0.5,
                    closed=True,
                )
            else:
                pen.box(box, 0.5, round=rng.choice((0, 0, 2, 4)))
            pen.text((middle[0], middle[1] - 1), make_word(rng, 3), min(4.0, box.width * 0.1), FONT, "middle")
            if column < columns - 1 and rng.random() < 0.7:
                draw_arrow(pen, (box.x1, middle[1]), (box.x1 + width * 0.28, middle[1]))
            if row < rows - 1 and rng.random() < 0.7:
                draw_arrow(pen, (middle[0], box.y1 + height * 0.52), (middle[0], box.y1))


def draw_arrow(pen: SheetPen, start: Point, end: Point) -> None:
    pen.line(start, end, 0.4)
    dx, dy = (end[0] > start[0]) - (end[0] < start[0]), (end[1] > start[1]) - (end[1] < start[1])
    back = (end[0] - 3 * dx, end[1] - 3 * dy)
    pen.path([(back[0] - dy, back[1] + dx), end, (back[0] + dy, back[1] - dx)], 0.2, closed=True, fill=BLACK)


def draw_patent_figure(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Mechanical figures with wavy reference lines and numerals, "FIG. 1", without dimensions or a title block."""
    number = rng.randint(1, 2)
    height = area.height / number
    for each in range(number):
        room = Rectangle(area.x0, area.y0 + each * height, area.x1, area.y0 + (each + 1) * height)
        view = rng.choice((make_gear, make_bracket, make_crank))(rng).views[0, 0]
        draw_figure(pen, view, room, rng)
        figure = f"FIG. {rng.randint(1, 9)}{rng.choice(('', 'A', 'B'))}"
        pen.text((room.centre[0], room.y0 + height * 0.05), figure, 6, BOLD, "middle")
    pen.text(
        (area.x0, area.y1 - 4),
        f"US {rng.randrange(4, 11)},{rng.randrange(1000):03},{rng.randrange(1000):03} B2",
        3.6,
        SERIF,
    )
    pen.text((area.x1, area.y1 - 4), f"Sheet {rng.randint(1, 8)} of {rng.randint(8, 12)}", 3.6, SERIF, "right")


def draw_figure(pen: SheetPen, view: View, room: Rectangle, rng: Random) -> None:
    bounds = view.bounds
    scale = 0.55 * min(room.width / bounds.width, room.height / bounds.height)
    middle, centre = room.centre, bounds.centre

    def place(point: Point) -> Point:
        return middle[0] + (point[0] - centre[0]) * scale, middle[1] + (point[1] - centre[1]) * scale

    for stroke in view.strokes:
        if stroke.kind != "centre":
            pen.path([place(point) for point in stroke.points], 0.4, closed=stroke.closed)
    for ring in view.rings:
        if ring.kind != "centre":
            pen.circle(place(ring.centre), ring.radius * scale, 0.4)
    edges = [list(stroke.points) for stroke in view.strokes if stroke.kind == "visible"]
    edges += [arc_points(ring.centre, ring.radius, 0, 360) for ring in view.rings if ring.kind == "visible"]
    for numeral in range(rng.randint(5, 9)):
        draw_reference(
            pen, place(rng.choice(rng.choice(edges))), middle, 10 + 2 * numeral, min(room.width, room.height) * 0.16
        )


def draw_reference(pen: SheetPen, at: Point, middle: Point, numeral: int, reach: float) -> None:
    """A wavy line outwards to a numeral."""
    dx, dy = at[0] - middle[0], at[1] - middle[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1.0)
    ux, uy = dx / length, dy / length
    wave = [(reach * step / 8, (0, 0.8, 1.1, 0.8, 0, -0.8, -1.1, -0.8, 0)[step] * reach * 0.05) for step in range(9)]
    line = [(at[0] + ux * along - uy * across, at[1] + uy * along + ux * across) for along, across in wave]
    pen.path(line, NARROW)
    pen.text((line[-1][0] + ux * 3.5, line[-1][1] + uy * 3.5 - 1.5), str(numeral), 4.5, SERIF, "middle")


def draw_piping(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Vessels, pumps and valves joined by pipes with right angles."""
    nodes = [
        (area.x0 + area.width * rng.uniform(0.1, 0.9), area.y0 + area.height * rng.uniform(0.1, 0.9)) for _ in range(9)
    ]
    for start, end in pairwise(nodes):
        pen.path([start, (end[0], start[1]), end], 0.6)
        draw_valve(pen, ((start[0] + end[0]) / 2, start[1]))
    for number, node in enumerate(nodes):
        kind = rng.choice(("tank", "pump", "gauge"))
        if kind == "tank":
            box = Rectangle(node[0] - 8, node[1] - 13, node[0] + 8, node[1] + 13)
            pen.box(box, 0.5, fill=WHITE, round=7)
        else:
            pen.circle(node, 6 if kind == "pump" else 4.5, 0.5, fill=WHITE)
        if kind == "pump":
            pen.path([arc_points(node, 6, angle, angle, 1)[0] for angle in (0, 120, 240)], 0.4, closed=True)
        tag = f"{kind[0].upper()}-{100 + number}"
        pen.text((node[0], node[1] - (17 if kind == "tank" else 10)), tag, 3.2, FONT, "middle")


def draw_valve(pen: SheetPen, at: Point) -> None:
    x, y = at
    pen.path([(x - 3, y - 2), (x + 3, y + 2), (x + 3, y - 2), (x - 3, y + 2)], 0.4, closed=True, fill=WHITE)
    pen.line((x, y), (x, y + 4), 0.4)
    pen.line((x - 1.5, y + 4), (x + 1.5, y + 4), 0.4)


SCHEMATICS: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {
    "circuit": draw_circuit,
    "block diagram": draw_block_diagram,
    "patent figure": draw_patent_figure,
}
SCHEMATICS_APART: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {"piping": draw_piping}
