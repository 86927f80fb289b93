"""Views of a part: its edges in millimetres of the part, with dimensions, sections and balloons.

What stands beside a view (dimension lines, leaders, letters) is measured in millimetres of paper, so it keeps its size
at any scale: `margins` is the room that it takes on each side.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from examples.drawings.sheets import Point, Rectangle, arc_points

Kind = Literal["visible", "covering", "hidden", "centre", "thin"]  # covering: white inside, over hatching
Side = Literal["left", "right", "bottom", "top"]
FIRST_LEVEL, NEXT_LEVEL = 10.0, 8.0  # mm of paper from the outline to the dimension lines
OVERHANG, OVERHANG_SHARE = 3.0, 0.3  # mm of paper, or share of its length, that a centre line goes over at each end
LABEL_ROOM, CUT_ROOM, EDGE_ROOM = 9.0, 8.0, 4.0  # mm of paper


@dataclass(frozen=True, slots=True)
class Stroke:
    kind: Kind
    points: tuple[Point, ...]
    closed: bool


@dataclass(frozen=True, slots=True)
class Ring:
    kind: Kind
    centre: Point
    radius: float


@dataclass(frozen=True, slots=True)
class Dimension:
    """Between two points, horizontally at the bottom or top, vertically at the left or right."""

    start: Point
    end: Point
    side: Side
    level: int
    prefix: str
    suffix: str

    @property
    def length(self) -> float:
        axis = 0 if self.side in ("bottom", "top") else 1
        return abs(self.end[axis] - self.start[axis])


@dataclass(frozen=True, slots=True)
class Leader:
    """An arrow to a point, and a text on a shelf above or below the view."""

    at: Point
    towards: Point  # (-1 or 1, -1 or 1): the corner it goes to
    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Balloon:
    at: Point
    item: int


@dataclass(slots=True)
class View:
    strokes: list[Stroke] = field(default_factory=list)
    rings: list[Ring] = field(default_factory=list)
    hatches: list[tuple[tuple[tuple[Point, ...], ...], bool]] = field(default_factory=list)  # rings, leaning back
    dimensions: list[Dimension] = field(default_factory=list)
    leaders: list[Leader] = field(default_factory=list)
    balloons: list[Balloon] = field(default_factory=list)
    cut: tuple[Literal["x", "y"], float] | None = None  # where the section's plane is seen
    label: str = ""

    def line(self, *points: Point, kind: Kind = "visible", closed: bool = False) -> None:
        self.strokes.append(Stroke(kind, points, closed))

    def outline(self, points: Sequence[Point], kind: Kind = "visible") -> None:
        self.strokes.append(Stroke(kind, tuple(points), True))

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, kind: Kind = "visible") -> None:
        self.outline([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], kind)

    def circle(self, centre: Point, radius: float, kind: Kind = "visible", cross: bool = True) -> None:
        """A circle, with its centre lines unless `cross` is false."""
        self.rings.append(Ring(kind, centre, radius))
        if cross:
            self.cross(centre, radius)

    def cross(self, centre: Point, radius: float) -> None:
        (x, y), reach = centre, radius
        self.line((x - reach, y), (x + reach, y), kind="centre")
        self.line((x, y - reach), (x, y + reach), kind="centre")

    def section(self, *rings: Sequence[Point], back: bool = False) -> None:
        """Material that is cut: outlines and hatching, by the even-odd rule."""
        for ring in rings:
            self.outline(ring)
        self.hatches.append((tuple(tuple(ring) for ring in rings), back))

    def measure(
        self, start: Point, end: Point, side: Side, level: int | None = None, prefix: str = "", suffix: str = ""
    ) -> None:
        """A dimension, further out than those before it unless a level is given."""
        used = [each.level for each in self.dimensions if each.side == side]
        place = level if level is not None else max(used, default=-1) + 1
        self.dimensions.append(Dimension(start, end, side, place, prefix, suffix))

    def point_out(self, at: Point, towards: Point, text: str) -> None:
        level = sum(1 for each in self.leaders if each.towards == towards)
        self.leaders.append(Leader(at, towards, level, text))

    @property
    def cut_sides(self) -> tuple[Side, ...]:
        """Where the ends of the section's plane are; dimensions are beyond them."""
        if not self.cut:
            return ()
        return ("bottom", "top") if self.cut[0] == "x" else ("left", "right")

    @property
    def bounds(self) -> Rectangle:
        points = [point for stroke in self.strokes if stroke.kind != "centre" for point in stroke.points]
        points += [
            (ring.centre[0] + sign * ring.radius, ring.centre[1] + sign * ring.radius)
            for ring in self.rings
            for sign in (-1, 1)
            if ring.kind != "centre"
        ]
        xs, ys = zip(*points, strict=True)
        return Rectangle(min(xs), min(ys), max(xs), max(ys))

    def margins(self, text_size: float, shelf: float) -> dict[Side, float]:
        """The room beside its outline in mm of paper; `shelf` is the length of its longest leader text."""
        room: dict[Side, float] = {"left": EDGE_ROOM, "right": EDGE_ROOM, "bottom": EDGE_ROOM, "top": EDGE_ROOM}
        for each in self.dimensions:
            room[each.side] = max(room[each.side], FIRST_LEVEL + NEXT_LEVEL * each.level + text_size + 2)
        for side in self.cut_sides:
            room[side] += CUT_ROOM
        for leader in self.leaders:
            across: Side = "right" if leader.towards[0] > 0 else "left"
            along: Side = "top" if leader.towards[1] > 0 else "bottom"
            room[across] = max(room[across], shelf * 0.8 + 6)
            room[along] = max(room[along], leader_height(leader) + text_size + 2)
        if self.label:
            room["top"] += LABEL_ROOM
        return room


def leader_height(leader: Leader) -> float:
    """How far from the outline the shelf is, in mm of paper."""
    return 6 + 7.5 * leader.level


def hatch(rings: Iterable[Sequence[Point]], angle: float, step: float) -> list[tuple[Point, Point]]:
    """Parallel strokes inside polygons, by the even-odd rule: each scan line's crossings with the edges, in pairs.

    >>> hatch([[(0, 0), (4, 0), (4, 4), (0, 4)]], angle=0, step=2)
    [((0.0, 1.0), (4.0, 1.0)), ((0.0, 3.0), (4.0, 3.0))]
    """
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turned = [[(x * cos + y * sin, y * cos - x * sin) for x, y in ring] for ring in rings]
    edges = [edge for ring in turned for edge in zip(ring, [*ring[1:], ring[0]], strict=True)]
    low, high = min(y for ring in turned for _, y in ring), max(y for ring in turned for _, y in ring)
    strokes: list[tuple[Point, Point]] = []
    for number in range(math.floor(low / step), math.ceil(high / step)):
        y = (number + 0.5) * step
        crossings = sorted(
            ax + (y - ay) * (bx - ax) / (by - ay) for (ax, ay), (bx, by) in edges if (ay <= y) != (by <= y)
        )
        for left, right in zip(crossings[::2], crossings[1::2], strict=True):
            strokes.append(
                ((left * cos - y * sin, left * sin + y * cos), (right * cos - y * sin, right * sin + y * cos))
            )
    return strokes


def slot(start: Point, end: Point, radius: float) -> list[Point]:
    """The outline of a slot with half-round ends between two centres."""
    angle = math.degrees(math.atan2(end[1] - start[1], end[0] - start[0]))
    return [
        *arc_points(end, radius, angle - 90, angle + 90, 10),
        *arc_points(start, radius, angle + 90, angle + 270, 10),
    ]


def mirror(points: Sequence[Point]) -> list[Point]:
    """The same shape on the other side of the x axis."""
    return [(x, -y) for x, y in points]
