"""Draws the views of a part at a scale, with dimensions, leaders, sections and balloons."""

from __future__ import annotations

from dataclasses import dataclass

from examples.drawings.organisations import Organisation
from examples.drawings.sheets import (
    BLACK,
    CENTRE,
    HIDDEN,
    NARROW,
    WHITE,
    WIDE,
    Point,
    Rectangle,
    SheetPen,
    measure_text,
)
from examples.drawings.views import (
    CUT_ROOM,
    FIRST_LEVEL,
    LABEL_ROOM,
    NEXT_LEVEL,
    OVERHANG,
    OVERHANG_SHARE,
    Dimension,
    Kind,
    Leader,
    Ring,
    Side,
    Stroke,
    View,
    hatch,
    leader_height,
)

ARROW = 3.2  # mm, its length
STROKES: dict[Kind, tuple[float, tuple[float, ...]]] = {
    "visible": (WIDE, ()),
    "covering": (WIDE, ()),
    "hidden": (NARROW, HIDDEN),
    "centre": (NARROW, CENTRE),
    "thin": (NARROW, ()),
}
OUTWARD: dict[Side, Point] = {"left": (-1, 0), "right": (1, 0), "bottom": (0, -1), "top": (0, 1)}
CUT_REACH = 7.0  # mm, from the outline to the ends of the section's plane
BALLOON_RADIUS, BALLOON_HEIGHT = 4.5, 14.0  # mm


@dataclass(frozen=True, slots=True)
class ViewPen:
    """A view whose origin is at `origin` on the paper, `scale` mm of paper for each mm of the part."""

    pen: SheetPen
    organisation: Organisation
    view: View
    origin: Point
    scale: float

    def draw(self) -> None:
        for rings, back in self.view.hatches:
            self.draw_hatch(rings, back)
        for stroke in self.view.strokes:
            if stroke.kind != "centre":
                self.draw_stroke(stroke)
        for ring in self.view.rings:
            self.draw_ring(ring)
        for stroke in self.view.strokes:
            if stroke.kind == "centre":
                self.draw_stroke(stroke)
        for dimension in self.view.dimensions:
            self.draw_dimension(dimension)
        for leader in self.view.leaders:
            self.draw_leader(leader)
        self.draw_balloons()
        self.draw_cut()
        self.draw_label()

    def place(self, point: Point) -> Point:
        return self.origin[0] + point[0] * self.scale, self.origin[1] + point[1] * self.scale

    @property
    def bounds(self) -> Rectangle:
        bounds = self.view.bounds
        return Rectangle(*self.place((bounds.x0, bounds.y0)), *self.place((bounds.x1, bounds.y1)))

    def draw_stroke(self, stroke: Stroke) -> None:
        width, dash = STROKES[stroke.kind]
        points = [self.place(point) for point in stroke.points]
        if stroke.kind == "centre" and len(points) == 2:
            points = lengthen(points[0], points[1])
        fill = WHITE if stroke.kind == "covering" else None
        self.pen.path(points, width * self.organisation.line_scale, dash, closed=stroke.closed, fill=fill)

    def draw_ring(self, ring: Ring) -> None:
        width, dash = STROKES[ring.kind]
        fill = WHITE if ring.kind == "covering" else None
        self.pen.circle(
            self.place(ring.centre), ring.radius * self.scale, width * self.organisation.line_scale, dash, fill
        )

    def draw_hatch(self, rings: tuple[tuple[Point, ...], ...], back: bool) -> None:
        angle = self.organisation.hatch_angle + (90 if back else 0)
        placed = [[self.place(point) for point in ring] for ring in rings]
        self.pen.lines(hatch(placed, angle, self.organisation.hatch_step), 0.18 * self.organisation.line_scale)

    def draw_dimension(self, dimension: Dimension) -> None:
        """Extension lines, a dimension line with arrows, and its text above it or in a gap."""
        outward, start, end = OUTWARD[dimension.side], self.place(dimension.start), self.place(dimension.end)
        at = self.find_level(dimension)
        flat = outward[0] == 0
        first, last = sorted((start[0], end[0]) if flat else (start[1], end[1]))
        for point in (start, end):
            foot = (point[0] + outward[0], point[1] + outward[1])
            head = (point[0], at + 2 * outward[1]) if flat else (at + 2 * outward[0], point[1])
            self.pen.line(foot, head, self.narrow)
        text = self.write_length(dimension)
        width = measure_text(text, self.size, self.organisation.font)
        if last - first < width + 2 * ARROW + 1:
            self.draw_outside(flat, at, first, last, text, width)
        else:
            self.draw_inside(flat, at, first, last, text, width)

    def find_level(self, dimension: Dimension) -> float:
        bounds, reach = self.bounds, FIRST_LEVEL + NEXT_LEVEL * dimension.level
        reach += CUT_ROOM if dimension.side in self.view.cut_sides else 0
        edges = {"left": bounds.x0, "right": bounds.x1, "bottom": bounds.y0, "top": bounds.y1}
        return edges[dimension.side] + sum(OUTWARD[dimension.side]) * reach

    def write_length(self, dimension: Dimension) -> str:
        text = f"{dimension.prefix}{round(dimension.length, 1):g}{dimension.suffix}"
        return text.replace(".", ",") if self.organisation.comma else text

    def draw_inside(self, flat: bool, at: float, first: float, last: float, text: str, width: float) -> None:
        middle, gap = (first + last) / 2, width / 2 + 1
        spans = [(first, last)] if self.organisation.text_above else [(first, middle - gap), (middle + gap, last)]
        for low, high in spans:
            self.pen.line(along(flat, low, at), along(flat, high, at), self.narrow)
        self.draw_arrow(along(flat, first, at), (-1.0, 0.0) if flat else (0.0, -1.0))
        self.draw_arrow(along(flat, last, at), (1.0, 0.0) if flat else (0.0, 1.0))
        lift = 0.9 if self.organisation.text_above else -self.size * 0.35
        self.write(flat, middle, at, lift, text, "middle")

    def draw_outside(self, flat: bool, at: float, first: float, last: float, text: str, width: float) -> None:
        """Arrows that point inwards; the text follows the second one."""
        self.pen.line(along(flat, first - 2 * ARROW, at), along(flat, first, at), self.narrow)
        self.pen.line(along(flat, first, at), along(flat, last + 2 * ARROW + width, at), self.narrow)
        self.draw_arrow(along(flat, first, at), (1.0, 0.0) if flat else (0.0, 1.0))
        self.draw_arrow(along(flat, last, at), (-1.0, 0.0) if flat else (0.0, -1.0))
        self.write(flat, last + 2 * ARROW, at, 0.9, text, "left")

    def write(self, flat: bool, middle: float, at: float, lift: float, text: str, anchor: str) -> None:
        """Horizontal texts stand on their line, vertical ones are read from the right."""
        point = (middle, at + lift) if flat else (at - lift, middle)
        self.pen.text(point, text, self.size, self.organisation.font, anchor, 0 if flat else 90)

    def draw_arrow(self, tip: Point, direction: Point) -> None:
        """The end of a dimension line, as the organisation draws it; `direction` is where it points."""
        (x, y), (dx, dy) = tip, direction
        style, half = self.organisation.arrows, ARROW * 0.16
        if style == "dot":
            self.pen.circle(tip, 0.7, 0, fill=BLACK)
        elif style == "slash":
            self.pen.line((x - 1.3, y - 1.3), (x + 1.3, y + 1.3), WIDE)
        else:
            back = (x - dx * ARROW, y - dy * ARROW)
            wings = [(back[0] - dy * half, back[1] + dx * half), tip, (back[0] + dy * half, back[1] - dx * half)]
            fill = {"filled": BLACK, "hollow": WHITE}.get(style)
            self.pen.path(wings, self.narrow * 0.8, closed=style != "open", fill=fill)

    def draw_leader(self, leader: Leader) -> None:
        """From the shelf outside of the view to the point, with an arrow at the end."""
        bounds, tip = self.bounds, self.place(leader.at)
        right, up = leader.towards
        y = bounds.y1 + leader_height(leader) if up > 0 else bounds.y0 - leader_height(leader)
        edge = bounds.x1 if right > 0 else bounds.x0
        reach = min(abs(y - tip[1]), abs(edge - tip[0]) + 4)  # not flatter than 45 degrees
        elbow = (tip[0] + right * reach, y)
        text = leader.text.replace(".", ",") if self.organisation.comma else leader.text
        width = measure_text(text, self.size, self.organisation.font)
        self.pen.path([tip, elbow, (elbow[0] + right * (width + 2), y)], self.narrow)
        length = max(((elbow[0] - tip[0]) ** 2 + (elbow[1] - tip[1]) ** 2) ** 0.5, 1e-6)
        self.draw_arrow(tip, ((tip[0] - elbow[0]) / length, (tip[1] - elbow[1]) / length))
        start = elbow[0] + 1 if right > 0 else elbow[0] - width - 1
        self.pen.text((start, y + 0.9), text, self.size, self.organisation.font)

    def draw_balloons(self) -> None:
        """In a row above the view, ordered from left to right so that no two leaders cross."""
        balloons = sorted(self.view.balloons, key=lambda each: each.at)
        bounds = self.bounds
        for number, balloon in enumerate(balloons):
            x = bounds.x0 + bounds.width * (number + 0.5) / len(balloons)
            centre, at = (x, bounds.y1 + BALLOON_HEIGHT), self.place(balloon.at)
            self.pen.line((x, centre[1] - BALLOON_RADIUS), at, self.narrow)
            self.pen.circle(at, 0.7, 0, fill=BLACK)
            self.pen.circle(centre, BALLOON_RADIUS, self.narrow)
            self.pen.text((x, centre[1] - 1.5), str(balloon.item), 4.2, self.organisation.font, "middle")

    def draw_cut(self) -> None:
        """The section's plane: a chain line with thick ends, arrows and letters."""
        if not self.view.cut:
            return
        axis, value = self.view.cut
        bounds, flat = self.bounds, axis == "y"
        at = self.place((value, value))[1 if flat else 0]
        low, high = (bounds.x0, bounds.x1) if flat else (bounds.y0, bounds.y1)
        low, high = low - CUT_REACH, high + CUT_REACH
        self.pen.line(along(flat, low, at), along(flat, high, at), self.narrow, CENTRE)
        for end, inner in ((low, low + 5), (high, high - 5)):
            self.pen.line(along(flat, end, at), along(flat, inner, at), WIDE * 1.4)
            middle = (end + inner) / 2
            tip = (at + 6, middle) if not flat else (middle, at + 6)
            self.pen.line(along(flat, middle, at), tip, self.narrow)
            self.draw_arrow(tip, (1.0, 0.0) if not flat else (0.0, 1.0))
            corner = (at - 4.5, middle - 1.6) if not flat else (middle - 1.5, at - 5.5)
            self.pen.text(corner, "A", 4.5, self.organisation.bold)

    def draw_label(self) -> None:
        if self.view.label:
            bounds = self.bounds
            top = self.view.margins(self.size, 0)["top"] - LABEL_ROOM * 0.8
            self.pen.text((bounds.centre[0], bounds.y1 + top), self.view.label, 5.0, self.organisation.bold, "middle")

    @property
    def narrow(self) -> float:
        return NARROW * self.organisation.line_scale

    @property
    def size(self) -> float:
        return self.organisation.text_size


def along(flat: bool, distance: float, at: float) -> Point:
    return (distance, at) if flat else (at, distance)


def lengthen(start: Point, end: Point) -> list[Point]:
    """A centre line that goes a little over the outline at any scale."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-6)
    over = min(OVERHANG / length, OVERHANG_SHARE)
    return [(start[0] - dx * over, start[1] - dy * over), (end[0] + dx * over, end[1] + dy * over)]
