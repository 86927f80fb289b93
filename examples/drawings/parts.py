"""Families of parts, each drawn in its usual views: plates, brackets, bearing blocks, sheets. Sizes in mm."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from examples.drawings.sheets import Point, Rectangle, arc_points, round_corners
from examples.drawings.views import View, slot

BORES = (" H7", " H8", " H6", "")
SCREWS = ("M4", "M5", "M6", "M8", "M10")


@dataclass(frozen=True, slots=True)
class Part:
    """Views by (row, column): the front view is (0, 0), the side view (0, 1), the top view (1, 0)."""

    views: Mapping[tuple[int, int], View]
    data: tuple[tuple[str, str], ...] = ()  # a small table beside the views
    items: tuple[tuple[str, int], ...] = ()  # a parts list, with quantities: balloons name its rows, from 1


def make_plate(rng: Random) -> Part:
    """A plate with holes, its section through the middle bore."""
    width, height = rng.randrange(60, 321, 5), rng.randrange(40, 201, 5)
    thickness, edge = rng.choice((6, 8, 10, 12, 15, 20)), rng.randrange(8, 16)
    bore, hole = round(rng.uniform(0.15, 0.3) * min(width, height)), rng.choice((4.5, 5.5, 6.6, 9.0))
    front = View(cut=("x", width / 2))
    front.outline(round_corners(Rectangle(0, 0, width, height), rng.choice((3, 5, 8))))
    corners = [(x, y) for x in (edge, width - edge) for y in (edge, height - edge)]
    for corner in corners:
        front.circle(corner, hole / 2)
    middle = (width / 2, height / 2)
    front.circle(middle, bore)
    if rng.random() < 0.5:
        front.circle(middle, bore * 1.3, "hidden", cross=False)
    extra = draw_pattern(front, rng, width, height, bore)
    front.measure((0, 0), (width, 0), "bottom", 1)
    front.measure(corners[0], corners[2], "bottom", 0)
    front.measure((0, 0), (0, height), "left", 1)
    front.measure(corners[0], corners[1], "left", 0)
    front.point_out((corners[3][0] + hole * 0.35, corners[3][1] + hole * 0.35), (1, 1), f"4x Ø{hole:g}")
    front.point_out((middle[0] - bore * 0.7, middle[1] + bore * 0.7), (-1, 1), f"Ø{2 * bore:.0f}{rng.choice(BORES)}")
    if extra:
        front.point_out(extra, (1, -1), f"{rng.choice(SCREWS)} x {rng.randrange(8, 20)}")
    return Part({(0, 0): front, (0, 1): cut_plate(thickness, height, bore)})


def draw_pattern(view: View, rng: Random, width: float, height: float, bore: float) -> Point | None:
    """More holes or slots beside the bore of a plate; a point to be named, if any."""
    room = width / 2 - bore * 1.3 - 26
    if room < 12:
        return None
    kind = rng.choice(("slots", "row", "none"))
    x = width / 2 + bore * 1.3 + 8 + room / 2
    if kind == "slots":
        for at in (x, width - x):
            view.outline(slot((at, height * 0.36), (at, height * 0.64), min(room / 4, 6)))
            view.line((at, height * 0.2), (at, height * 0.8), kind="centre")
        return None
    if kind == "row":
        radius = min(room / 5, 3.5)
        points = [(at, height * share) for at in (x, width - x) for share in (0.3, 0.5, 0.7)]
        for point in points:
            view.circle(point, radius)
        return points[0][0] + radius * 0.7, points[0][1] - radius * 0.7
    return None


def cut_plate(thickness: float, height: float, bore: float) -> View:
    side = View(label="A-A")
    low, high = height / 2 - bore, height / 2 + bore
    side.section([(0, 0), (thickness, 0), (thickness, low), (0, low)])
    side.section([(0, high), (thickness, high), (thickness, height), (0, height)])
    side.line((0, low), (0, high))
    side.line((thickness, low), (thickness, high))
    side.line((-thickness * 0.4, height / 2), (thickness * 1.4, height / 2), kind="centre")
    side.measure((0, 0), (thickness, 0), "bottom")
    side.measure((thickness, low), (thickness, high), "right", prefix="Ø")
    return side


def make_bracket(rng: Random) -> Part:
    """An angle bracket with a rib, in three views."""
    length, height, depth = rng.randrange(50, 160, 2), rng.randrange(45, 140, 2), rng.randrange(30, 120, 2)
    wall, hole = rng.choice((5, 6, 8, 10)), rng.choice((6.6, 9, 11))
    fillet = wall * 0.8
    corner = arc_points((wall + fillet, wall + fillet), fillet, 270, 180, 6)
    front = View()
    front.outline([(0, 0), (length, 0), (length, wall), *corner, (wall, height), (0, height)])
    rib = min(length, height) * rng.uniform(0.45, 0.75)
    front.line((wall + rib, wall), (wall, wall + rib))
    front.measure((0, 0), (length, 0), "bottom")
    front.measure((0, 0), (0, height), "left")
    front.measure((length, 0), (length, wall), "right")
    front.point_out((wall + fillet * 0.3, wall + fillet * 0.3 + rib * 0.1), (1, 1), f"R{fillet:g}")
    side, top = View(), View()
    side.rectangle(0, 0, depth, height)
    side.line((0, wall), (depth, wall))
    top.rectangle(0, 0, length, depth)
    top.line((wall, 0), (wall, depth))
    for at in (depth / 2 - wall / 2, depth / 2 + wall / 2):
        side.line((at, wall), (at, wall + rib))
        top.line((wall, at), (wall + rib, at))
    draw_bracket_holes(front, side, top, (length, height, depth, wall, hole))
    return Part({(0, 0): front, (0, 1): side, (1, 0): top})


def draw_bracket_holes(front: View, side: View, top: View, sizes: tuple[float, float, float, float, float]) -> None:
    length, height, depth, wall, hole = sizes
    x, y = length * 0.78, height * 0.78
    for share in (0.22, 0.78):
        top.circle((x, depth * share), hole / 2)
        side.circle((depth * share, y), hole / 2)
    for edge in (-hole / 2, hole / 2):
        front.line((x + edge, 0), (x + edge, wall), kind="hidden")
        front.line((0, y + edge), (wall, y + edge), kind="hidden")
    front.line((x, -wall * 0.5), (x, wall * 1.5), kind="centre")
    front.line((-wall * 0.5, y), (wall * 1.5, y), kind="centre")
    top.measure((0, depth * 0.22), (x, depth * 0.22), "bottom")
    top.measure((length, depth * 0.22), (length, depth * 0.78), "right")
    top.measure((0, 0), (0, depth), "left")
    side.measure((depth * 0.22, y), (depth * 0.78, y), "top")
    side.measure((depth, 0), (depth, y), "right")
    top.point_out((x + hole * 0.35, depth * 0.78 + hole * 0.35), (1, 1), f"4x Ø{hole:g}")


def make_housing(rng: Random) -> Part:
    """A pillow block: dome over a foot, section through the bore, top view."""
    bore = rng.randrange(20, 90)
    dome, foot = bore * rng.uniform(0.8, 0.95), rng.randrange(10, 22)
    rise, depth = dome + foot + rng.randrange(2, 15), rng.randrange(30, 80)
    reach, hole = dome + rng.randrange(22, 45), rng.choice((9, 11, 13.5))
    front = View(cut=("x", 0.0))
    bow = arc_points((0, rise), dome, 0, 180, 30)
    front.outline([(-reach, 0), (reach, 0), (reach, foot), (dome, foot), *bow, (-dome, foot), (-reach, foot)])
    front.circle((0, rise), bore / 2, cross=False)
    front.circle((0, rise), bore * 0.62, cross=False)
    front.cross((0, rise), dome)
    at = (reach + dome) / 2
    for sign in (-1, 1):
        for edge in (-hole / 2, hole / 2):
            front.line((sign * at + edge, 0), (sign * at + edge, foot), kind="hidden")
        front.line((sign * at, -foot * 0.3), (sign * at, foot * 1.3), kind="centre")
    front.measure((-at, 0), (at, 0), "bottom")
    front.measure((-reach, 0), (reach, 0), "bottom")
    front.measure((-reach, 0), (-dome, rise), "left", suffix=" ±0.1")
    front.measure((reach, 0), (reach, foot), "right")
    front.point_out((dome * 0.7, rise + dome * 0.7), (1, 1), f"R{dome:.1f}")
    side = cut_housing(rise, dome, bore, depth, foot)
    side.measure((depth, rise - bore / 2), (depth, rise + bore / 2), "right", prefix="Ø", suffix=" H7")
    top = View()
    top.rectangle(-reach, 0, reach, depth)
    top.rectangle(-dome, 0, dome, depth)
    for sign in (-1, 1):
        top.circle((sign * at, depth / 2), hole / 2)
    top.line((-reach * 1.05, depth / 2), (reach * 1.05, depth / 2), kind="centre")
    top.measure((-reach, 0), (-reach, depth), "left")
    top.point_out((at + hole * 0.35, depth / 2 + hole * 0.35), (1, 1), f"2x Ø{hole:g}")
    return Part({(0, 0): front, (0, 1): side, (1, 0): top})


def cut_housing(rise: float, dome: float, bore: float, depth: float, foot: float) -> View:
    view, seat, lip = View(label="A-A"), bore * 0.62, 4.0
    low = [(0, 0), (depth, 0), (depth, rise - bore / 2), (lip, rise - bore / 2), (lip, rise - seat), (0, rise - seat)]
    view.section(low)
    view.section([(x, 2 * rise - y) if y else (x, rise + dome) for x, y in low])
    for x, half in ((0, seat), (lip, seat), (depth, bore / 2)):
        view.line((x, rise - half), (x, rise + half))
    view.line((-depth * 0.1, rise), (depth * 1.1, rise), kind="centre")
    view.measure((0, 0), (depth, 0), "bottom")
    return view


def make_sheet_metal(rng: Random) -> Part:
    """A bent sheet: profile, and the flat pattern with bend lines below it."""
    walls = [float(rng.randrange(15, 90)) for _ in range(rng.choice((3, 3, 5)))]
    gauge, depth = rng.choice((1.0, 1.5, 2.0, 3.0)), float(rng.randrange(40, 180))
    turns = rng.choice(((90, 90), (90, -90))) if len(walls) == 3 else (90, -90, -90, 90)
    profile = bend_profile(walls, turns, gauge)
    low = min(y for _, y in profile)
    front, flat = View(), View()
    profile = [(x, y - low) for x, y in profile]
    front.outline(profile)
    bounds = front.bounds
    front.measure((bounds.x0, bounds.y0), (bounds.x1, bounds.y0), "bottom")
    front.measure((bounds.x0, bounds.y0), (bounds.x0, bounds.y1), "left")
    front.point_out(
        max(profile, key=lambda point: (point[0] + point[1], point[0])), (1, 1), f"t = {gauge:g}   R{gauge * 1.5:g}"
    )
    total, x = sum(walls), 0.0
    cut = min(8.0, walls[0] * 0.3)
    outline = [(cut, 0), (total - cut, 0), (total, cut), (total, depth - cut), (total - cut, depth), (cut, depth)]
    flat.outline([*outline, (0, depth - cut), (0, cut)])
    flat.measure((0, cut), (total, cut), "bottom", len(walls) % 2 + 1)
    for number, wall in enumerate(walls):
        flat.measure((x, 0), (x + wall, 0), "bottom", 0)
        draw_sheet_holes(flat, rng, x, wall, depth)
        x += wall
        if number < len(walls) - 1:
            flat.line((x, 0), (x, depth), kind="centre")
            flat.line((x - gauge, 0), (x - gauge, depth), kind="thin")
            flat.line((x + gauge, 0), (x + gauge, depth), kind="thin")
    flat.measure((0, 0), (0, depth), "left")
    return Part({(0, 0): front, (1, 0): flat})


def bend_profile(walls: list[float], turns: tuple[int, ...], gauge: float) -> list[Point]:
    """The outline of a strip of sheet that turns at the end of each wall but the last."""
    x, y, angle = 0.0, 0.0, 270.0 if turns[0] > 0 else 90.0
    left: list[Point] = []
    right: list[Point] = []
    for number, wall in enumerate(walls):
        cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        for along in (0.0, wall):
            px, py = x + along * cos, y + along * sin
            left.append((px - sin * gauge / 2, py + cos * gauge / 2))
            right.append((px + sin * gauge / 2, py - cos * gauge / 2))
        x, y = x + wall * cos, y + wall * sin
        if number < len(turns):
            angle += turns[number]
    return [*join_corners(left, walls), *reversed(join_corners(right, walls))]


def join_corners(points: list[Point], walls: list[float]) -> list[Point]:
    """Where two parallels meet at a right angle: the x of one and the y of the other."""
    joined = [points[0]]
    for number in range(1, len(walls)):
        (ax, ay), (bx, by), (px, py) = points[2 * number - 2], points[2 * number - 1], points[2 * number]
        joined.append((bx, py) if abs(ax - bx) < abs(ay - by) else (px, by))
    return [*joined, points[-1]]


def draw_sheet_holes(view: View, rng: Random, x: float, wall: float, depth: float) -> None:
    radius = min(wall * 0.12, 5)
    kind = rng.choice(("holes", "slot", "none"))
    if kind == "holes":
        for share in (0.25, 0.75):
            view.circle((x + wall / 2, depth * share), radius)
    elif kind == "slot":
        view.outline(slot((x + wall / 2, depth * 0.38), (x + wall / 2, depth * 0.62), radius))


def make_crank(rng: Random) -> Part:
    """A crank disc with a pin and a window: only in figures that are no drawings."""
    radius = float(rng.randrange(40, 90))
    view = View()
    view.circle((0, 0), radius, cross=False)
    view.circle((0, 0), radius * 0.2, cross=False)
    view.circle((radius * 0.65, 0), radius * 0.12, cross=False)
    view.outline(slot((-radius * 0.5, -radius * 0.4), (-radius * 0.5, radius * 0.4), radius * 0.12))
    arm = rng.uniform(1.6, 2.4) * radius
    for sign in (-1, 1):
        view.line((radius * 0.65, sign * radius * 0.12), (arm, sign * radius * 0.08))
    view.circle((arm, 0), radius * 0.16, cross=False)
    return Part({(0, 0): view})
