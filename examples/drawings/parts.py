"""Families of parts, each drawn in its usual views. Sizes in mm of the part; axes of turned parts are at y = 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from examples.drawings.sheets import Point, Rectangle, arc_points, round_corners
from examples.drawings.views import Balloon, Side, View, mirror, slot

FITS = ("h6", "k6", "m6", "h7", "js6")
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


def make_shaft(rng: Random) -> Part:
    """A stepped shaft with a key groove, and the section through that."""
    diameters, lengths = choose_steps(rng)
    front = View()
    widest = diameters.index(max(diameters))
    half = outline_shaft(diameters, lengths)
    front.outline([*half, *reversed(mirror(half))])
    total = sum(lengths)
    for x, end in ((1.5, diameters[0]), (total - 1.5, diameters[-1])):
        front.line((x, -end / 2), (x, end / 2))
    front.line((-total * 0.03, 0), (total * 1.03, 0), kind="centre")
    x = 0.0
    for number, (diameter, length) in enumerate(zip(diameters, lengths, strict=True)):
        if number:
            step = max(diameter, diameters[number - 1]) / 2
            front.line((x, -step), (x, step))
        front.measure((x, -diameter / 2), (x + length, -diameter / 2), "bottom", 0 if number % 2 else 1)
        if number in (0, len(diameters) - 1):
            side: Side = "left" if number == 0 else "right"
            end = 0 if number == 0 else total
            front.measure((end, -diameter / 2), (end, diameter / 2), side, None, "Ø", f" {rng.choice(FITS)}")
        elif number == widest:
            front.point_out((x + length / 2, diameter / 2), (1, 1), f"Ø{diameter:g}")
        x += length
    front.measure((0, -diameters[0] / 2), (total, -diameters[-1] / 2), "bottom", 2)
    groove = 0 if widest else len(diameters) - 1
    start = sum(lengths[:groove])
    key = diameters[groove] * 0.28
    inset = lengths[groove] * 0.18 + key / 2
    front.outline(slot((start + inset, 0), (start + lengths[groove] - inset, 0), key / 2))
    front.cut = ("x", start + lengths[groove] / 2)
    return Part({(0, 0): front, (0, 1): cut_shaft(diameters[groove], key)})


def choose_steps(rng: Random) -> tuple[list[float], list[float]]:
    """Diameters that grow to a collar and shrink again, and lengths."""
    number = rng.randint(3, 6)
    collar = rng.randrange(1, number - 1)
    base = rng.randrange(15, 50)
    diameters = [float(base + 2 * rng.randint(2, 5) * (number - abs(each - collar))) for each in range(number)]
    return diameters, [float(rng.randrange(12, 70)) for _ in range(number)]


def outline_shaft(diameters: list[float], lengths: list[float]) -> list[Point]:
    """The upper half, with chamfers at both ends."""
    chamfer, x = 1.5, 0.0
    points: list[Point] = []
    for diameter, length in zip(diameters, lengths, strict=True):
        points += [(x, diameter / 2), (x + length, diameter / 2)]
        x += length
    first, last = points[0], points[-1]
    points[0], points[-1] = (chamfer, first[1]), (last[0] - chamfer, last[1])
    return [(0, first[1] - chamfer), *points, (last[0], last[1] - chamfer)]


def cut_shaft(diameter: float, key: float) -> View:
    """A round section with a key groove at the top."""
    radius, depth = diameter / 2, key * 0.55
    start = math.degrees(math.acos(key / 2 / radius))
    round = arc_points((0, 0), radius, 180 - start, 360 + start, 48)
    view = View(label="A-A")
    view.section([*round, (key / 2, radius - depth), (-key / 2, radius - depth)])
    view.cross((0, 0), radius)
    view.measure((-key / 2, radius), (key / 2, radius), "top", suffix=" P9")
    view.measure((0, -radius), (0, radius - depth), "right")
    return view


def make_flange(rng: Random) -> Part:
    """A flange with a hub: bolt circle in front, section beside it."""
    outer = float(rng.randrange(80, 301, 5))
    bore, holes = round(outer * rng.uniform(0.15, 0.3)), rng.choice((4, 6, 8, 12))
    hub, circle = round(bore * rng.uniform(1.4, 1.7)), round(outer * rng.uniform(0.76, 0.82))
    hole, thickness = round(outer * 0.055), rng.choice((10, 12, 16, 20, 24))
    length = thickness + rng.randrange(10, 45)
    front = View(cut=("x", 0.0))
    for diameter in (outer, hub, bore):
        front.circle((0, 0), diameter / 2, cross=diameter == outer)
    front.circle((0, 0), circle / 2, "centre", cross=False)
    for at in arc_points((0, 0), circle / 2, 90, 450, holes)[:-1]:
        front.circle(at, hole / 2)
    front.point_out(arc_points((0, 0), outer / 2, 50, 50, 1)[0], (1, 1), f"Ø{outer:g}")
    at = arc_points((0, 0), circle / 2, 90 + 360 / holes, 450, 1)[0]
    front.point_out((at[0] - hole * 0.35, at[1] + hole * 0.35), (-1, 1), f"{holes}x Ø{hole:g}")
    front.measure((-circle / 2, 0), (circle / 2, 0), "bottom", prefix="Ø")
    side = cut_flange(outer, hub, bore, circle, hole, thickness, length)
    side.measure((length, -bore / 2), (length, bore / 2), "right", prefix="Ø", suffix=rng.choice(BORES))
    side.measure((length, -hub / 2), (length, hub / 2), "right", prefix="Ø")
    return Part({(0, 0): front, (0, 1): side})


def cut_flange(
    outer: float, hub: float, bore: float, circle: float, hole: float, thickness: float, length: float
) -> View:
    low, high = circle / 2 - hole / 2, circle / 2 + hole / 2
    inner = [(0, bore / 2), (length, bore / 2), (length, hub / 2), (thickness, hub / 2), (thickness, low), (0, low)]
    rim = [(0, high), (thickness, high), (thickness, outer / 2), (0, outer / 2)]
    view = View(label="A-A")
    for shape in (inner, rim):
        view.section(shape)
        view.section(mirror(shape))
    for x, reach in ((0, outer), (length, hub), (thickness, outer)):
        view.line((x, -reach / 2), (x, reach / 2))
    for y in (-circle / 2, 0.0, circle / 2):
        view.line((-length * 0.15, y), (length * 1.15 if not y else thickness * 1.3, y), kind="centre")
    view.measure((0, -outer / 2), (thickness, -outer / 2), "bottom")
    view.measure((0, -outer / 2), (length, -hub / 2), "bottom")
    return view


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


def make_gear(rng: Random) -> Part:
    """A spur gear: face with teeth, section with hub."""
    module, teeth = rng.choice((1.5, 2, 2.5, 3, 4)), rng.randint(17, 48)
    pitch = module * teeth
    tip, root = pitch + 2 * module, pitch - 2.5 * module
    bore, width = round(pitch * rng.uniform(0.18, 0.28)), rng.choice((14, 18, 20, 25, 30))
    hub = min(bore * 1.7, root * 0.7)
    front = View(cut=("x", 0.0))
    front.outline(outline_teeth(teeth, tip / 2, pitch / 2, root / 2))
    front.circle((0, 0), pitch / 2, "centre", cross=False)
    front.circle((0, 0), hub / 2)
    front.outline(outline_bore(bore / 2, bore * 0.3))
    front.cross((0, 0), tip / 2)
    front.point_out(arc_points((0, 0), tip / 2, 55, 55, 1)[0], (1, 1), f"Ø{tip:g}")
    front.point_out((-bore * 0.15, bore * 0.62), (-1, 1), f"{bore * 0.3:.0f} JS9")
    if rng.random() < 0.6:
        draw_lightening(front, rng, (hub + root) / 4, (root - hub) / 10)
    side = View(label="A-A")
    web, middle = width * rng.uniform(0.35, 1.0), width / 2
    rim = root / 2 - 2.2 * module
    half = [(0, bore / 2), (width, bore / 2), (width, hub / 2), (middle + web / 2, hub / 2), (middle + web / 2, rim)]
    half += [(width, rim), (width, root / 2), (0, root / 2), (0, rim), (middle - web / 2, rim)]
    half += [(middle - web / 2, hub / 2), (0, hub / 2)]
    for shape in (half, mirror(half)):
        side.section(shape)
    for sign in (-1, 1):
        side.rectangle(0, sign * root / 2, width, sign * tip / 2)
        side.line((-width * 0.2, sign * pitch / 2), (width * 1.2, sign * pitch / 2), kind="centre")
    for x in (0, width):
        side.line((x, -bore / 2), (x, bore / 2))
    side.line((-width * 0.2, 0), (width * 1.2, 0), kind="centre")
    side.measure((0, -tip / 2), (width, -tip / 2), "bottom")
    side.measure((width, -bore / 2), (width, bore / 2), "right", prefix="Ø", suffix=" H7")
    side.measure((width, -tip / 2), (width, tip / 2), "right", prefix="Ø")
    data = (
        ("m", f"{module:g}"),
        ("z", f"{teeth}"),
        ("alpha", "20°"),
        ("d", f"{pitch:g}"),
        ("x", f"{rng.uniform(-0.3, 0.4):.2f}"),
    )
    return Part({(0, 0): front, (0, 1): side}, data=data)


def outline_teeth(teeth: int, tip: float, pitch: float, root: float) -> list[Point]:
    """Teeth with straight flanks: half of the pitch at the pitch circle, less at the tip."""
    step, points = 360 / teeth, []
    for tooth in range(teeth):
        for share, radius in ((-0.36, root), (-0.25, pitch), (-0.12, tip), (0.12, tip), (0.25, pitch), (0.36, root)):
            angle = math.radians((tooth + share) * step)
            points.append((radius * math.cos(angle), radius * math.sin(angle)))
    return points


def outline_bore(radius: float, key: float) -> list[Point]:
    """A bore with a key groove at the top."""
    start = math.degrees(math.acos(key / 2 / radius))
    return [
        *arc_points((0, 0), radius, 180 - start, 360 + start, 36),
        (key / 2, radius * 1.25),
        (-key / 2, radius * 1.25),
    ]


def draw_lightening(view: View, rng: Random, distance: float, radius: float) -> None:
    for at in arc_points((0, 0), distance, 0, 360, rng.choice((4, 5, 6)))[:-1]:
        view.circle(at, max(radius, 1.5))


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


def make_assembly(rng: Random) -> Part:
    """A shaft in two bearings in a housing, cut along the axis, with balloons and a parts list."""
    shaft, width = rng.randrange(20, 45) / 2, rng.randrange(12, 20)
    outer, wall = shaft * rng.uniform(1.8, 2.2), rng.randrange(10, 18)
    span, cover = rng.randrange(70, 160), rng.randrange(8, 14)
    view, end = View(), shaft * rng.uniform(1.8, 3.2)
    half = [
        (-end, 0),
        (-end, shaft * 0.75),
        (-cover, shaft * 0.75),
        (0, shaft),
        (span, shaft),
        (span + end * 0.6, shaft * 0.8),
    ]
    view.outline([*half, (span + end * 0.6, 0), *reversed(mirror(half[1:]))])
    view.line((-end * 1.15, 0), (span + end * 0.8, 0), kind="centre")
    body = [
        (0, outer),
        (width, outer),
        (width, outer - 4),
        (span - width, outer - 4),
        (span - width, outer),
        (span, outer),
    ]
    body += [(span, outer + wall), (0, outer + wall)]
    lids = [(-cover, shaft * 0.95), (0, shaft * 0.95), (0, outer + wall), (-cover, outer + wall)]
    for turn in (list, mirror):
        view.section(turn(body))
        view.section(turn(lids), back=True)
        view.section(turn([(2 * (span / 2) - x, y) for x, y in lids]), back=True)
        for x in (0, span - width):
            draw_bearing(view, turn, x, width, shaft, outer)
    screw = outer + wall / 2
    for x, direction in ((-cover, 1), (span + cover, -1)):
        for sign in (-1, 1):
            draw_screw(view, (x, sign * screw), direction, cover)
    at = ((span * 0.5, shaft * 0.4), (width / 2, (shaft + outer) / 2), (span * 0.5, outer + wall * 0.5))
    view.balloons = [
        Balloon(point, item) for item, point in enumerate((*at, (-cover / 2, outer), (span + cover * 1.2, screw)), 1)
    ]
    view.measure((-end, -shaft), (span + end * 0.6, -shaft), "bottom", 1)
    view.measure((-cover, -outer - wall), (span + cover, -outer - wall), "bottom", 0)
    view.measure((-cover, -outer - wall), (-cover, outer + wall), "left", prefix="Ø")
    return Part(
        {(0, 0): view},
        items=(("shaft", 1), ("bearing", 2), ("housing", 1), ("cover", 2), ("screw", rng.choice((8, 12)))),
    )


def draw_bearing(
    view: View, turn: Callable[[list[Point]], list[Point]], x: float, width: float, low: float, high: float
) -> None:
    """A ball bearing: two rings, hatched, and a ball between them."""
    third = (high - low) * 0.3
    for bottom, top in ((low, low + third), (high - third, high)):
        view.section(turn([(x, bottom), (x + width, bottom), (x + width, top), (x, top)]), back=bottom == low)
    centre = turn([(x + width / 2, (low + high) / 2)])[0]
    view.circle(centre, (high - low) * 0.3, "covering")


def draw_screw(view: View, at: Point, direction: float, length: float) -> None:
    (x, y), head = at, length * 0.35
    view.rectangle(x - direction * head, y - head, x, y + head, "covering")
    view.rectangle(x, y - head * 0.5, x + direction * length * 1.8, y + head * 0.5, "covering")
    view.line((x, y - head * 0.35), (x + direction * length * 1.6, y - head * 0.35), kind="thin")
    view.line((x, y + head * 0.35), (x + direction * length * 1.6, y + head * 0.35), kind="thin")
    view.line((x - direction * head * 1.6, y), (x + direction * length * 2.1, y), kind="centre")


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
