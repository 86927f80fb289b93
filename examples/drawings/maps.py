"""Maps and plans: street maps, contour maps, floor plans; networks of lines in test pages only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from random import Random

import numpy as np
import numpy.typing as npt

from examples.drawings.names import make_word
from examples.drawings.sheets import BLACK, NARROW, WHITE, Point, Rectangle, SheetPen, arc_points

FONT, BOLD = "Helvetica", "Helvetica-Bold"

Heights = npt.NDArray[np.float64]


def draw_streets(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Bent streets with two kerbs, houses between them, a river, names along the streets."""
    pen.box(area, 0.5)
    ways = [make_way(area, rng, upright) for upright in (False, True) for _ in range(rng.randint(4, 8))]
    for way in ways:
        pen.path(way, 2.4)
    for way in ways:
        pen.path(way, 1.9, colour=WHITE)
        middle = way[len(way) // 2]
        after = way[len(way) // 2 + 1]
        angle = math.degrees(math.atan2(after[1] - middle[1], after[0] - middle[0]))
        pen.text((middle[0], middle[1] + 2), make_word(rng).capitalize(), 3, FONT, angle=angle)
    for _ in range(rng.randint(60, 160)):
        x, y = rng.uniform(area.x0 + 4, area.x1 - 9), rng.uniform(area.y0 + 4, area.y1 - 8)
        pen.box(Rectangle(x, y, x + rng.uniform(2, 6), y + rng.uniform(2, 5)), 0.15, fill=(0.85, 0.82, 0.78))
    draw_north(pen, (area.x1 - 14, area.y1 - 20))


def make_way(area: Rectangle, rng: Random, upright: bool) -> list[Point]:
    at, drift, bend = rng.uniform(0.05, 0.95), rng.uniform(-0.2, 0.2), rng.uniform(0, 0.06)
    phase = rng.uniform(0, 6)
    shares = [
        (step / 24, min(max(at + drift * (step / 24 - 0.5) + bend * math.sin(step * 0.4 + phase), 0), 1))
        for step in range(25)
    ]
    if upright:
        return [(area.x0 + area.width * b, area.y0 + area.height * a) for a, b in shares]
    return [(area.x0 + area.width * a, area.y0 + area.height * b) for a, b in shares]


def draw_north(pen: SheetPen, at: Point) -> None:
    x, y = at
    pen.path([(x - 3, y - 6), (x, y + 7), (x + 3, y - 6), (x, y - 3)], 0.3, closed=True, fill=BLACK)
    pen.text((x, y + 9), "N", 5, BOLD, "middle")


def draw_terrain(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Contour lines of hills by marching squares, with spot heights."""
    pen.box(area, 0.4)
    columns, rows = 60, max(12, round(60 * area.height / area.width))
    heights = make_heights(columns, rows, rng)
    for number, level in enumerate(np.linspace(heights.min(), heights.max(), rng.randint(9, 16))[1:-1]):
        pairs = [
            (scale_point(area, a, columns, rows), scale_point(area, b, columns, rows))
            for a, b in march(heights, float(level))
        ]
        pen.lines(pairs, 0.4 if number % 5 == 0 else 0.18, colour=(0.4, 0.25, 0.1))
    for _ in range(rng.randint(5, 12)):
        at = (rng.uniform(area.x0 + 8, area.x1 - 12), rng.uniform(area.y0 + 8, area.y1 - 8))
        pen.circle(at, 0.5, 0, fill=BLACK)
        pen.text((at[0] + 1, at[1]), str(rng.randint(120, 1900)), 2.8, FONT)
    draw_north(pen, (area.x1 - 14, area.y1 - 20))


def make_heights(columns: int, rows: int, rng: Random) -> Heights:
    """(rows + 1, columns + 1) float64: a sum of round hills."""
    y, x = np.mgrid[0 : rows + 1, 0 : columns + 1].astype(float)
    heights: Heights = np.zeros(x.shape)
    for _ in range(rng.randint(4, 8)):
        width = rng.uniform(0.08, 0.3) * columns
        squares = (x - rng.uniform(0, columns)) ** 2 + (y - rng.uniform(0, rows)) ** 2
        heights += rng.uniform(0.3, 1) * np.exp(-squares / width**2)
    return heights


def march(heights: Heights, level: float) -> list[tuple[Point, Point]]:
    """Segments of the line of a level: in each cell that it crosses, the crossings of the edges in pairs."""
    above = heights > level
    mixed = above[:-1, :-1].astype(int) + above[1:, :-1] + above[:-1, 1:] + above[1:, 1:]
    pairs: list[tuple[Point, Point]] = []
    for row, column in np.argwhere((mixed > 0) & (mixed < 4)).tolist():
        corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
        crossings = [
            cross(heights, a, b, level)
            for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)
            if above[a[1], a[0]] != above[b[1], b[0]]
        ]
        pairs += list(zip(crossings[::2], crossings[1::2], strict=True))
    return pairs


def cross(heights: Heights, a: tuple[int, int], b: tuple[int, int], level: float) -> Point:
    low, high = float(heights[a[1], a[0]]), float(heights[b[1], b[0]])
    share = (level - low) / (high - low)
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share


def scale_point(area: Rectangle, point: Point, columns: int, rows: int) -> Point:
    return area.x0 + area.width * point[0] / columns, area.y0 + area.height * point[1] / rows


def draw_floor_plan(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Rooms by repeated division, thick walls, doors with their swing, windows, names, outer dimensions."""
    outer = area.grow(-min(area.width, area.height) * 0.1)
    rooms = divide(outer, rng, max(outer.width, outer.height) * 0.38)
    for room in rooms:
        pen.box(room, 1.4)
        pen.text((room.centre[0], room.centre[1]), make_word(rng).capitalize(), 3.6, FONT, "middle")
        pen.text((room.centre[0], room.centre[1] - 5), f"{room.width * room.height / 90:.1f} m²", 2.8, FONT, "middle")
        draw_door(pen, room, rng)
    pen.box(outer, 2.4)
    for share in (0.2, 0.5, 0.8):
        x = outer.x0 + outer.width * share
        pen.box(Rectangle(x - 6, outer.y1 - 1.2, x + 6, outer.y1 + 1.2), NARROW, fill=WHITE)
    for edge in sorted({round(room.x0, 3) for room in rooms} | {outer.x1}):
        pen.line((edge, outer.y0 - 4), (edge, outer.y0 - 9))
        pen.line((edge - 1.2, outer.y0 - 8.2), (edge + 1.2, outer.y0 - 5.8), 0.5)
    pen.line((outer.x0, outer.y0 - 7), (outer.x1, outer.y0 - 7))
    pen.text((outer.centre[0], outer.y0 - 6), f"{outer.width / 9:.2f}", 3.4, FONT, "middle")


def divide(area: Rectangle, rng: Random, most: float) -> list[Rectangle]:
    if max(area.width, area.height) < most:
        return [area]
    share = rng.uniform(0.35, 0.65)
    if area.width > area.height:
        x = area.x0 + area.width * share
        parts = (Rectangle(area.x0, area.y0, x, area.y1), Rectangle(x, area.y0, area.x1, area.y1))
    else:
        y = area.y0 + area.height * share
        parts = (Rectangle(area.x0, area.y0, area.x1, y), Rectangle(area.x0, y, area.x1, area.y1))
    return [room for part in parts for room in divide(part, rng, most)]


def draw_door(pen: SheetPen, room: Rectangle, rng: Random) -> None:
    width = min(10.0, room.width * 0.3)
    x, y = room.x0 + room.width * rng.uniform(0.1, 0.6), room.y0
    pen.box(Rectangle(x, y - 0.9, x + width, y + 0.9), 0, fill=WHITE)
    pen.line((x, y), (x, y + width), 0.4)
    pen.path(arc_points((x, y), width, 0, 90, 10), NARROW)


def draw_network(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Lines of an underground: straight pieces at 45 degrees, stops with names."""
    for number in range(rng.randint(3, 6)):
        x, y = area.x0 + area.width * 0.05, area.y0 + area.height * rng.uniform(0.15, 0.85)
        points = [(x, y)]
        step = area.width * 0.9 / 6
        for _ in range(6):
            rise = rng.choice((-1, 0, 0, 1)) * step
            y = min(max(y + rise, area.y0 + 8), area.y1 - 8)
            x += step
            points.append((x, y))
        grey = 0.1 + 0.12 * number
        pen.path(points, 2.2, colour=(grey, grey * 0.8, 0.5))
        for point in points:
            pen.circle(point, 2.2, 0.6, fill=WHITE)
            pen.text((point[0] + 2, point[1] + 3.5), make_word(rng).capitalize(), 3.2, FONT, angle=30)


MAPS: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {
    "street map": draw_streets,
    "contour map": draw_terrain,
    "floor plan": draw_floor_plan,
}
MAPS_APART: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {"line network": draw_network}
