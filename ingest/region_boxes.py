"""Boxes in one picture: made regular, clipped to it, cut out. Boxes are shares of the upright picture's sides."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clip_vectorizer import boxes
from clip_vectorizer.database.regions import ID_STEPS
from clip_vectorizer.vectors import Box, Vectors
from ingest.items import GivenBox, GivenBoxes
from ingest.region_methods import RegionMethod

SAME_SHAPE = 0.02  # how far the proportions of two versions of one picture may be apart, as a share
NO_AREA, NOT_FINITE, OUTSIDE = "without an area", "with NaN or infinity", "outside of the picture"
CLIPPED = "partly outside, clipped to the picture"


@dataclass(frozen=True, slots=True, eq=False)
class PlacedBox:
    """A box of a picture. D dimensions"""

    box: Box
    objectness: float | None = None  # 0..1; None where the method knows none
    vector_d: Vectors | None = None  # (D,) of the model that found it; None: that of its crop
    corner: str = ""  # which one of the picture
    line_grid: str = ""  # of a corner: where its rules are, as text


@dataclass(frozen=True, slots=True)
class PlacedBoxes:
    """The boxes of one picture, best first, and which could not be used, in words."""

    boxes: tuple[PlacedBox, ...] = ()
    remark: str = ""


def place_grid(method: RegionMethod, size: tuple[int, int]) -> PlacedBoxes:
    """The cells of a grid. A picture with fewer pixels than cells on a side has none.

    >>> place_grid(RegionMethod(RegionKind.GRID, 9, 3, 3), (1, 1)).remark  # doctest: +SKIP
    '1 x 1 pixels, too few for a grid of 3x3'
    """
    if size[0] < method.columns or size[1] < method.rows:
        return PlacedBoxes(remark=f"{size[0]} x {size[1]} pixels, too few for a grid of {method.columns}x{method.rows}")
    cells = boxes.grid(method.columns, method.rows, method.overlap)
    return place_shares([PlacedBox(to_box(cell)) for cell in cells.tolist()], method.limit)


def place_corners(method: RegionMethod) -> PlacedBoxes:
    """The four corners of a picture, in the order of `boxes.CORNERS`."""
    shares = boxes.corners(method.width, method.height).tolist()
    named = zip(boxes.CORNERS, shares, strict=True)
    return place_shares([PlacedBox(to_box(share), corner=name) for name, share in named], method.limit)


def place_given(given: GivenBoxes, size: tuple[int, int], limit: int) -> PlacedBoxes:
    """The boxes that others drew, those with the best scores first, else as they are given.

    `size`: of the upright picture in pixels; boxes drawn on a larger or smaller version of it are scaled.
    """
    drawn_on = given.size or size
    if not is_same_shape(drawn_on, size):
        return PlacedBoxes(
            remark=f"its boxes were drawn on {drawn_on[0]} x {drawn_on[1]} pixels, and the upright picture has "
            f"{size[0]} x {size[1]}; none is used"
        )
    best_first = sorted(given.boxes, key=lambda each: -(each.score or 0.0) if is_finite(each) else 0.0)
    return place_shares([scale_box(each, drawn_on) for each in best_first], limit)


def is_finite(given: GivenBox) -> bool:
    return given.score is not None and math.isfinite(given.score)


def is_same_shape(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] * other[1] / (one[1] * other[0]) - 1) <= SAME_SHAPE or one == other


def scale_box(given: GivenBox, size: tuple[int, int]) -> PlacedBox:
    x, y, width, height = given.pixels
    box = x / size[0], y / size[1], (x + width) / size[0], (y + height) / size[1]
    return PlacedBox(box, min(1.0, max(0.0, given.score or 0.0)) if is_finite(given) else None)


def place_shares(found: Sequence[PlacedBox], limit: int) -> PlacedBoxes:
    """Clip boxes to the picture, drop those that are none, and equal ones. At most `limit` are left."""
    problems: Counter[str] = Counter()
    kept: dict[tuple[int, ...], PlacedBox] = {}
    for each in found:
        problem = find_problem(each.box)
        if problem:
            problems[problem] += 1
        if problem in ("", CLIPPED):
            clipped = clip_box(each.box)
            kept.setdefault(tuple(round(ID_STEPS * value) for value in clipped), replace(each, box=clipped))
    if len(kept) > limit:
        problems[f"over --region-limit {limit}"] += len(kept) - limit
    return PlacedBoxes(tuple(kept.values())[:limit], format_problems(problems))


def find_problem(box: Box) -> str:
    """What is wrong with a box, "" if nothing is."""
    if not all(map(math.isfinite, box)):
        return NOT_FINITE
    if box[2] <= box[0] or box[3] <= box[1]:
        return NO_AREA
    clipped = clip_box(box)
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        return OUTSIDE
    return "" if max(abs(one - other) for one, other in zip(box, clipped, strict=True)) < 1 / ID_STEPS else CLIPPED


def clip_box(box: Box) -> Box:
    return to_box(min(1.0, max(0.0, value)) for value in box)


def to_box(values: Iterable[float]) -> Box:
    x0, y0, x1, y1 = values
    return x0, y0, x1, y1


def format_problems(problems: Counter[str]) -> str:
    """The number of boxes with each problem.

    >>> format_problems(Counter({"without an area": 2}))
    '2 boxes without an area'
    """
    return ", ".join(f"{count} box{'es' * (count > 1)} {problem}" for problem, count in problems.items())
