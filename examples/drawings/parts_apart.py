"""Families of parts that only test pages have: springs, levers, pulleys."""

from __future__ import annotations

import math
from random import Random

from examples.drawings.parts import BORES, Part
from examples.drawings.parts_turned import outline_bore
from examples.drawings.sheets import Point, arc_points
from examples.drawings.views import View, mirror


def make_spring(rng: Random) -> Part:
    """A compression spring: its coils seen from the side, its end, and its data."""
    wire, coils = rng.choice((1.5, 2, 2.5, 3, 4, 5)), rng.randint(5, 12)
    mean = wire * rng.uniform(5, 9)
    pitch = wire * rng.uniform(1.8, 3.0)
    front, length = View(), pitch * coils + 2 * wire
    for coil in range(coils + 1):
        x = wire + coil * pitch
        draw_wire(front, (x, -mean / 2), (x + pitch / 2, mean / 2), wire)
        if coil < coils:
            draw_wire(front, (x + pitch / 2, mean / 2), (x + pitch, -mean / 2), wire, kind="hidden")
    for x in (0.0, length + wire + pitch / 2):
        front.line((x, -mean / 2 - wire / 2), (x, mean / 2 + wire / 2))
    front.line((-wire * 2, 0), (length + pitch, 0), kind="centre")
    right = length + wire + pitch / 2
    front.measure((0, -mean / 2 - wire / 2), (right, -mean / 2 - wire / 2), "bottom", prefix="L0 = ")
    front.measure((0, -mean / 2 - wire / 2), (0, mean / 2 + wire / 2), "left", prefix="Ø")
    front.point_out((wire + pitch / 2, mean / 2 + wire / 2), (1, 1), f"d = {wire:g}")
    end = View()
    for radius in (mean / 2 - wire / 2, mean / 2 + wire / 2):
        end.circle((0, 0), radius, cross=False)
    end.cross((0, 0), mean / 2 + wire / 2)
    rate = 81500 * wire**4 / (8 * mean**3 * coils)  # N/mm of steel wire: G d^4 / (8 D^3 n), EN 13906-1
    data = (
        ("d", f"{wire:g}"),
        ("D", f"{mean:.1f}"),
        ("n", f"{coils}"),
        ("R", f"{rate:.2f} N/mm"),
        ("Fn", f"{rate * length * 0.4:.0f} N"),
    )
    return Part({(0, 0): front, (0, 1): end}, data=data)


def draw_wire(view: View, start: Point, end: Point, wire: float, kind: str = "visible") -> None:
    """One side of a coil: a band between two round ends."""
    (ax, ay), (bx, by) = start, end
    length = math.hypot(bx - ax, by - ay)
    dx, dy = -(by - ay) / length * wire / 2, (bx - ax) / length * wire / 2
    if kind == "hidden":
        view.line((ax, ay + wire / 2), (bx - wire / 2, by), kind="hidden")
        return
    angle = math.degrees(math.atan2(by - ay, bx - ax))
    view.outline(
        [
            *arc_points(end, wire / 2, angle - 90, angle + 90, 8),
            (ax + dx, ay + dy),
            *arc_points(start, wire / 2, angle + 90, angle + 270, 8),
        ]
    )


def make_lever(rng: Random) -> Part:
    """Two eyes joined by a tapered arm, and the section along it."""
    big, small = rng.randrange(18, 45), rng.randrange(10, 18)
    distance, thick = float(big + small + rng.randrange(40, 180)), rng.randrange(10, 25)
    bores = (round(big * 0.55), round(small * 0.5))
    front = View(cut=("y", 0.0))
    tilt = math.degrees(math.asin((big - small) / distance))
    front.outline(
        [
            *arc_points((0, 0), big, 90 - tilt, 270 + tilt, 30),
            *arc_points((distance, 0), small, -90 + tilt, 90 - tilt, 20),
        ]
    )
    front.circle((0, 0), bores[0])
    front.outline(outline_bore(bores[0], bores[0] * 0.5))
    front.circle((distance, 0), bores[1])
    front.line((-big * 1.2, 0), (distance + small * 1.3, 0), kind="centre")
    front.measure((0, -big), (distance, -small), "bottom", suffix=" ±0.05")
    front.measure((-big, -big), (-big, big), "left", prefix="Ø")
    front.point_out((bores[0] * 0.7, bores[0] * 0.7), (1, 1), f"Ø{2 * bores[0]:g}{rng.choice(BORES)}")
    front.point_out((distance + small * 0.7, -small * 0.7), (1, -1), f"R{small:g}")
    below = View(label="A-A")
    web = thick * 0.5
    for start, end, bore, sign in ((-big, big, bores[0], 1), (distance + small, distance - small, bores[1], -1)):
        for edge, inner in ((start, -bore * sign), (end, bore * sign)):
            centre = 0.0 if sign > 0 else distance
            below.section([(edge, 0), (centre + inner, 0), (centre + inner, thick), (edge, thick)])
        for y in (0, thick):
            centre = 0.0 if sign > 0 else distance
            below.line((centre - bore, y), (centre + bore, y))
        below.line((centre, -thick * 0.2), (centre, thick * 1.2), kind="centre")
    low, high = thick / 2 - web / 2, thick / 2 + web / 2
    below.section([(big, low), (distance - small, low), (distance - small, high), (big, high)])
    below.measure((distance + small, 0), (distance + small, thick), "right")
    below.measure((-big, 0), (-big, thick), "left")
    return Part({(0, 0): front, (1, 0): below})


def make_pulley(rng: Random) -> Part:
    """A grooved pulley with arms: face, and section."""
    outer, grooves = float(rng.randrange(120, 321, 10)), rng.randint(1, 4)
    pitch, depth = rng.choice((12.0, 15.0, 19.0)), rng.choice((10.0, 12.0, 15.0))
    width = grooves * pitch + 6
    bore, rim = round(outer * rng.uniform(0.12, 0.18)), outer / 2 - depth - 7
    hub = bore * 0.95
    front = View(cut=("x", 0.0))
    for radius in (outer / 2, outer / 2 - depth, rim, hub):
        front.circle((0, 0), radius, cross=False)
    front.outline(outline_bore(bore / 2, bore * 0.3))
    front.cross((0, 0), outer / 2)
    arms = rng.choice((3, 4, 5, 6))
    for arm in range(arms):
        angle = 90 + 360 / arms * (arm + 0.5)
        for sign in (-1, 1):
            start = arc_points((0, 0), hub, angle + sign * 22, angle, 1)[0]
            front.line(start, arc_points((0, 0), rim, angle + sign * 6, angle, 1)[0])
    front.point_out(arc_points((0, 0), outer / 2, 48, 48, 1)[0], (1, 1), f"Ø{outer:g}")
    front.point_out((-bore * 0.15, bore * 0.62), (-1, 1), f"{bore * 0.3:.0f} JS9")
    side = View(label="A-A")
    top: list[Point] = [(0, rim), (width, rim), (width, outer / 2)]
    for groove in reversed(range(grooves)):
        x = 3 + groove * pitch + pitch / 2
        edge = pitch * 0.4
        top += [
            (x + edge, outer / 2),
            (x + edge * 0.5, outer / 2 - depth),
            (x - edge * 0.5, outer / 2 - depth),
            (x - edge, outer / 2),
        ]
    top.append((0, outer / 2))
    middle: list[Point] = [(0, bore / 2), (width, bore / 2), (width, hub), (0, hub)]
    for shape in (top, middle):
        side.section(shape)
        side.section(mirror(shape))
    for x in (width * 0.35, width * 0.65):
        side.line((x, hub), (x, rim))
        side.line((x, -hub), (x, -rim))
    for x in (0, width):
        side.line((x, -bore / 2), (x, bore / 2))
        side.line((x, rim), (x, -rim), kind="thin")
    side.line((-width * 0.15, 0), (width * 1.15, 0), kind="centre")
    side.measure((0, -outer / 2), (width, -outer / 2), "bottom")
    side.measure((width, -bore / 2), (width, bore / 2), "right", prefix="Ø", suffix=" H7")
    if grooves > 1:
        side.measure((3 + pitch / 2, outer / 2), (3 + pitch * 1.5, outer / 2), "top")
    return Part({(0, 0): front, (0, 1): side})
