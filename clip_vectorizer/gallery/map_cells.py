"""A layout as cells with one image each, and as points in colours."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clip_vectorizer.gallery.map_address import DECIMALS, MapBox
from clip_vectorizer.gallery.map_store import COLOURS, MapLayout

COLUMNS, ROWS = 8, 6
WIDTH, HEIGHT = 400, 300  # of the drawing of all points, its own units
PALETTE = 8  # colours; other values share one more
TURNS = 8  # in which the colours are drawn
MOSTLY = 0.5  # share of a cell above which a value names it

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class MapCell:
    """A cell with images."""

    column: int
    row: int
    box: MapBox
    count: int
    nearest: int  # index of the image nearest to its centre
    mostly: str  # the value that most of its images share, "" without one


@dataclass(frozen=True, slots=True)
class PointColour:
    """A value, and the images that have it."""

    value: str  # "" of images without one
    indices: Indices
    kind: str  # the class of its style: c0 .. c7, cr of all other values, cn of images without one

    @property
    def count(self) -> int:
        return len(self.indices)


def find_inside(layout: MapLayout, box: MapBox) -> Indices:
    """Return the images inside of a box, in their order."""
    x, y = layout.places_n2[:, 0], layout.places_n2[:, 1]
    inside = (x >= box.x0) & (y >= box.y0) & ((x < box.x1) | (box.x1 == 1)) & ((y < box.y1) | (box.y1 == 1))
    return np.flatnonzero(inside)


def part(layout: MapLayout, box: MapBox, colour: str) -> list[MapCell]:
    """Return the cells of a box that have images, row by row. `colour`: the property that may name them."""
    inside = find_inside(layout, box)
    x_edges, y_edges = list_edges(box.x0, box.x1, COLUMNS), list_edges(box.y0, box.y1, ROWS)
    columns = find_part(layout.places_n2[inside, 0], x_edges)
    rows = find_part(layout.places_n2[inside, 1], y_edges)
    cells = []
    for row, column in sorted(set(zip(rows.tolist(), columns.tolist(), strict=True))):
        own = inside[(rows == row) & (columns == column)]
        edges = (x_edges[column], y_edges[row], x_edges[column + 1], y_edges[row + 1])
        cells.append(build_cell(layout, own, column, row, MapBox(*map(float, edges)), colour))
    return cells


def list_edges(low: float, high: float, count: int) -> npt.NDArray[np.float64]:
    return np.round(np.linspace(low, high, count + 1), DECIMALS)


def find_part(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> Indices:
    found: Indices = np.searchsorted(edges, values, side="right") - 1
    return found.clip(0, len(edges) - 2)


def build_cell(layout: MapLayout, own: Indices, column: int, row: int, box: MapBox, colour: str) -> MapCell:
    centre = np.array([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
    distances = (((layout.places_n2[own] - centre) / (box.x1 - box.x0, box.y1 - box.y0)) ** 2).sum(axis=1)
    values = Counter(value for index in own if (value := layout.images[index].values.get(colour, "")))
    value, count = values.most_common(1)[0] if values else ("", 0)
    mostly = value if count > MOSTLY * len(own) else ""
    return MapCell(column, row, box, len(own), int(own[distances.argmin()]), mostly)


def list_colours(layout: MapLayout) -> list[str]:
    """Return the properties that have at least two values, or one and images without it."""
    found = []
    for name in COLOURS:
        values = {image.values.get(name, "") for image in layout.images}
        if len(values) > 1:
            found.append(name)
    return found


def colour_points(layout: MapLayout, name: str) -> list[PointColour]:
    """Return the most frequent values with their points, then the others, then the images without a value."""
    values = [image.values.get(name, "") for image in layout.images]
    counts = Counter(value for value in values if value)
    named = [value for value, _ in sorted(counts.items(), key=lambda each: (-each[1], each[0]))]
    of_value: dict[str, list[int]] = {}
    for index, value in enumerate(values):
        of_value.setdefault(value, []).append(index)
    colours = [
        PointColour(value, np.array(of_value[value]), f"c{place}") for place, value in enumerate(named[:PALETTE])
    ]
    rest = [index for value in named[PALETTE:] for index in of_value[value]]
    if rest:
        colours.append(PointColour(f"{len(named) - PALETTE} others", np.array(rest), "cr"))
    if "" in of_value:
        colours.append(PointColour("", np.array(of_value[""]), "cn"))
    return colours


def draw_points(layout: MapLayout, colours: Sequence[PointColour]) -> list[tuple[str, str]]:
    """Return the lines of an SVG: class and path, whose dots are the images. Colours take turns, so that none of them
    hides all others where points are dense.
    """
    lines = []
    for turn in range(TURNS):
        for each in reversed(colours):
            places = layout.places_n2[each.indices[turn::TURNS]]
            if len(places):
                lines.append((each.kind, "".join(draw_dots(places))))
    return lines


def draw_dots(places_n2: npt.NDArray[np.float64]) -> Iterator[str]:
    """Yield one dot for each place, equal ones once."""
    scaled = np.round(places_n2 * (WIDTH, HEIGHT)).astype(int)
    for x, y in np.unique(scaled, axis=0).tolist():
        yield f"M{x} {y}h0"
