"""Families of turned parts: shafts, flanges, gears, and a shaft in its bearings. Sizes in mm; axes at y = 0."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

from examples.drawings.parts import BORES, Part
from examples.drawings.sheets import Point, arc_points
from examples.drawings.views import Balloon, Side, View, mirror, slot

FITS = ("h6", "k6", "m6", "h7", "js6")


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
