"""Curves of cost: their steps, where they first bend, and their pictures on log-log axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from clip_vectorizer.query.evaluation.plots import encode_png, prepare_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BEND = 0.25  # change of the exponent between two steps: a curve of one power has none
COLOURS = ("#08519c", "#d95f0e", "#238b45", "#6a51a3")  # dark enough on white
MARKERS = ("o", "s", "^", "D")
PANEL_WIDTH, PANEL_HEIGHT = 4.6, 3.5  # inches


@dataclass(frozen=True, slots=True)
class Curve:
    """Positive costs `ys` at the sizes `xs`, which rise."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]


@dataclass(frozen=True, slots=True)
class Bend:
    """The size at which the exponent of a curve changes: y grows as x to the power of `before`, then of `after`."""

    at: float
    before: float
    after: float

    def __str__(self) -> str:
        return f"at {self.at:,.0f}: exponent {self.before:.2f} before, {self.after:.2f} after"


def compute_exponents(curve: Curve) -> list[float]:
    """Return the exponent of each step from one size to the next.

    >>> compute_exponents(Curve("square", (1, 10, 100), (1, 100, 10_000)))
    [2.0, 2.0]
    """
    points = list(zip(curve.xs, curve.ys, strict=True))
    return [
        math.log(y_after / y_before) / math.log(x_after / x_before)
        for (x_before, y_before), (x_after, y_after) in pairwise(points)
    ]


def find_bend(curve: Curve) -> Bend | None:
    """Return the first bend; None where the exponent never changes by more than BEND."""
    exponents = compute_exponents(curve)
    for at, before, after in zip(curve.xs[1:], exponents, exponents[1:], strict=False):
        if abs(after - before) > BEND:
            return Bend(at, before, after)
    return None


def describe_bend(curve: Curve) -> str:
    """Return a sentence for a page."""
    bend = find_bend(curve)
    exponents = ", ".join(f"{each:.2f}" for each in compute_exponents(curve))
    return f"{curve.name}: first bend {bend}" if bend else f"{curve.name}: no bend; exponents {exponents}"


def draw_panels(panels: Sequence[Panel]) -> bytes:
    """Return a PNG file, two panels a row. Raises InputError where matplotlib is not installed."""
    prepare_matplotlib()
    from matplotlib import pyplot

    rows = -(-len(panels) // 2)
    drawing, grid = pyplot.subplots(
        rows, 2, figsize=(2 * PANEL_WIDTH, rows * PANEL_HEIGHT), layout="constrained", squeeze=False
    )
    places = list(grid.flat)
    for axes, panel in zip(places, panels, strict=False):
        draw_panel(axes, panel)
    for axes in places[len(panels) :]:
        axes.set_visible(False)
    return encode_png(drawing)


def draw_panel(axes: "Axes", panel: Panel) -> None:
    for curve, colour, marker in zip(panel.curves, COLOURS, MARKERS, strict=False):
        axes.loglog(curve.xs, curve.ys, color=colour, marker=marker, markersize=5, label=curve.name)
    axes.set_title(panel.title, loc="left", fontsize=11)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.grid(which="major", alpha=0.35)
    axes.grid(which="minor", alpha=0.1)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    values = [y for curve in panel.curves for y in curve.ys]
    if values and max(values) < 10 * min(values):  # less than a decade has too few ticks for a reader
        middle = math.sqrt(min(values) * max(values))
        axes.set_ylim(middle / 4, middle * 4)
    if len(panel.curves) > 1:
        axes.legend(fontsize=9, frameon=True)
