"""Charts with much line work, and patterns: graph paper; radar charts and guilloches in test pages only.

Patterns count as charts: there is no kind of their own among the nine, and graph paper is what charts are drawn on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from random import Random

from examples.drawings.names import make_title, make_word
from examples.drawings.sheets import NARROW, Colour, Point, Rectangle, SheetPen, arc_points

FONT, BOLD = "Helvetica", "Helvetica-Bold"
COLOURS: tuple[Colour, ...] = ((0.1, 0.3, 0.7), (0.8, 0.3, 0.1), (0.1, 0.55, 0.25), (0.5, 0.2, 0.6), (0.2, 0.2, 0.2))


def draw_axes(pen: SheetPen, area: Rectangle, rng: Random) -> Rectangle:
    """A title, axes with ticks and numbers, perhaps a grid; the area inside."""
    plot = Rectangle(area.x0 + area.width * 0.1, area.y0 + area.height * 0.12, area.x1, area.y1 - area.height * 0.1)
    pen.text(
        (plot.centre[0], plot.y1 + area.height * 0.03),
        make_title(rng),
        min(6, area.width * 0.03),
        BOLD,
        "middle",
    )
    number, grid = rng.randint(5, 10), rng.random() < 0.6
    for tick in range(number + 1):
        x, y = plot.x0 + plot.width * tick / number, plot.y0 + plot.height * tick / number
        if grid:
            pen.lines([((x, plot.y0), (x, plot.y1)), ((plot.x0, y), (plot.x1, y))], 0.12, colour=(0.6, 0.6, 0.6))
        pen.lines([((x, plot.y0 - 1.5), (x, plot.y0)), ((plot.x0 - 1.5, y), (plot.x0, y))])
        pen.text((x, plot.y0 - 5), str(tick * 10), 3, FONT, "middle")
        pen.text((plot.x0 - 2.5, y - 1), f"{tick * rng.choice((0.2, 0.5)):.1f}", 3, FONT, "right")
    pen.path([(plot.x0, plot.y1), (plot.x0, plot.y0), (plot.x1, plot.y0)], 0.5)
    pen.text(
        (plot.centre[0], plot.y0 - 10), f"{make_word(rng)} / {rng.choice(('s', 'mm', 'kg', '%'))}", 3.4, FONT, "middle"
    )
    return plot


def draw_lines(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    plot = draw_axes(pen, area, rng)
    for number in range(rng.randint(2, 6)):
        a, b, c = rng.uniform(0.1, 0.5), rng.uniform(2, 18), rng.uniform(0, 6)
        points = [wave_point(plot, step / 120, a, b, c, rng.gauss(0, 0.01)) for step in range(121)]
        dash = rng.choice(((), (), (3, 1.5), (1, 1)))
        pen.path(points, 0.5, dash, colour=COLOURS[number % len(COLOURS)])


def wave_point(plot: Rectangle, share: float, a: float, b: float, c: float, noise: float) -> Point:
    value = 0.5 + a * math.sin(b * share + c) * (1 - share * 0.5) + noise
    return plot.x0 + plot.width * share, plot.y0 + plot.height * min(max(value, 0), 1)


def draw_columns(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    plot = draw_axes(pen, area, rng)
    groups, series = rng.randint(4, 12), rng.randint(1, 3)
    step = plot.width / groups
    for group in range(groups):
        for number in range(series):
            x, width = plot.x0 + step * (group + 0.12 + 0.76 * number / series), step * 0.76 / series
            bar = Rectangle(x, plot.y0, x + width, plot.y0 + plot.height * rng.uniform(0.1, 0.95))
            pen.box(bar, NARROW, fill=COLOURS[number] if rng.random() < 0.9 else (0.85, 0.85, 0.85))


def draw_points(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    plot = draw_axes(pen, area, rng)
    slope, marks = rng.uniform(-0.8, 0.8), rng.choice(("circle", "cross"))
    for _ in range(rng.randint(40, 160)):
        share = rng.random()
        y = min(max(0.5 + slope * (share - 0.5) + rng.gauss(0, 0.1), 0.02), 0.98)
        at = (plot.x0 + plot.width * share, plot.y0 + plot.height * y)
        if marks == "circle":
            pen.circle(at, 1.1, 0.25)
        else:
            pen.lines(
                [((at[0] - 1, at[1] - 1), (at[0] + 1, at[1] + 1)), ((at[0] - 1, at[1] + 1), (at[0] + 1, at[1] - 1))]
            )
    pen.line(
        (plot.x0, plot.y0 + plot.height * (0.5 - slope / 2)), (plot.x1, plot.y0 + plot.height * (0.5 + slope / 2)), 0.5
    )


def draw_contours(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Closed curves around a few peaks, with axes."""
    plot = draw_axes(pen, area, rng)
    reach = min(plot.width, plot.height)
    for _ in range(rng.randint(2, 3)):
        centre = (plot.x0 + plot.width * rng.uniform(0.3, 0.7), plot.y0 + plot.height * rng.uniform(0.3, 0.7))
        lobes, phase, depth = rng.randint(2, 5), rng.uniform(0, 6), rng.uniform(0.05, 0.18)
        for ring in range(1, rng.randint(6, 10)):
            radius = reach * 0.028 * ring
            curve = polar_curve(centre, partial(bend, radius, depth, lobes, phase), 80)
            pen.path(curve, NARROW, closed=True)


def draw_graph_paper(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """Fine and coarse squares, logarithmic in one direction at times; perhaps a curve drawn on it."""
    step = rng.choice((2.0, 4.0, 5.0))
    columns, rows = int(area.width / step), int(area.height / step)
    grey = rng.uniform(0.3, 0.7)
    for heavy in (False, True):
        xs = [area.x0 + step * each for each in range(columns + 1) if (each % 5 == 0) == heavy]
        ys = [area.y0 + step * each for each in range(rows + 1) if (each % 5 == 0) == heavy]
        pairs = [((x, area.y0), (x, area.y0 + rows * step)) for x in xs]
        pairs += [((area.x0, y), (area.x0 + columns * step, y)) for y in ys]
        pen.lines(pairs, 0.3 if heavy else 0.1, colour=(grey, grey, grey))
    if rng.random() < 0.5:
        a, b = rng.uniform(0.1, 0.4), rng.uniform(2, 9)
        pen.path([wave_point(area, each / 80, a, b, 0, 0) for each in range(81)], 0.5)


def draw_radar(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    centre, radius, axes = area.centre, min(area.width, area.height) * 0.4, rng.randint(5, 9)
    for ring in range(1, 6):
        pen.path(arc_points(centre, radius * ring / 5, 90, 450, axes)[:-1], 0.15, closed=True)
    for end in arc_points(centre, radius, 90, 450, axes)[:-1]:
        pen.line(centre, end)
        pen.text(
            (centre[0] + (end[0] - centre[0]) * 1.1, centre[1] + (end[1] - centre[1]) * 1.1),
            make_word(rng),
            4,
            FONT,
            "middle",
        )
    for number in range(rng.randint(1, 3)):
        ends = arc_points(centre, radius, 90, 450, axes)[:-1]
        shares = [rng.uniform(0.3, 1) for _ in ends]
        points = [
            (centre[0] + (x - centre[0]) * s, centre[1] + (y - centre[1]) * s)
            for (x, y), s in zip(ends, shares, strict=True)
        ]
        pen.path(points, 0.7, closed=True, colour=COLOURS[number])


def draw_guilloche(pen: SheetPen, area: Rectangle, rng: Random) -> None:
    """The curves of bank notes: waves around a ring, and bands of them."""
    centre, radius = area.centre, min(area.width, area.height) * 0.38
    petals, turns = rng.randint(7, 23), rng.randint(3, 9)
    for phase in range(turns):
        shift = phase * 2 * math.pi / turns
        curve = polar_curve(centre, partial(bend, radius * 0.65, 0.54, petals, shift), 360)
        pen.path(curve, 0.18, closed=True)
    for band in range(rng.randint(2, 6)):
        y = area.y0 + area.height * (band + 0.5) / 6
        for shift in (0.0, 1.5, 3.0):
            points = [(area.x0 + area.width * s / 150, y + 6 * math.sin(s * 0.4 + shift)) for s in range(151)]
            pen.path(points, 0.15)


def bend(radius: float, depth: float, lobes: int, phase: float, angle: float) -> float:
    """The distance from the centre of a ring that is bent by a share `depth` of its radius."""
    return radius * (1 + depth * math.sin(lobes * angle + phase))


def polar_curve(centre: Point, radius: Callable[[float], float], steps: int) -> list[Point]:
    """A closed curve whose distance from the centre depends on the angle in radians."""
    angles = [2 * math.pi * step / steps for step in range(steps)]
    return [(centre[0] + radius(t) * math.cos(t), centre[1] + radius(t) * math.sin(t)) for t in angles]


CHARTS: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {
    "line chart": draw_lines,
    "column chart": draw_columns,
    "scatter chart": draw_points,
    "contour chart": draw_contours,
    "graph paper": draw_graph_paper,
}
CHARTS_APART: Mapping[str, Callable[[SheetPen, Rectangle, Random], None]] = {
    "radar chart": draw_radar,
    "guilloche": draw_guilloche,
}
