"""The report of `clip-eval limits`: a plot per task, examples of the scenes, and a page with all tables."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from html import escape
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clip_vectorizer.query.evaluation.limits import LimitFindings
from clip_vectorizer.query.evaluation.limits_composition import NUMBERS, CountingResult, select_countable
from clip_vectorizer.query.evaluation.limits_phrases import AXES, PHRASES, LimitPhrases
from clip_vectorizer.query.evaluation.limits_scenes import NamedDrawing, compose_copies, compose_pair
from clip_vectorizer.query.evaluation.plots import (
    DARK,
    GREY,
    compute_whiskers,
    create_figure,
    encode_png,
    prepare_matplotlib,
    replace_undrawable,
)
from clip_vectorizer.query.evaluation.report import (
    ReportPage,
    format_lines,
    list_model_facts,
    write_page,
)
from clip_vectorizer.query.evaluation.statistics import SEED, Share
from clip_vectorizer.query.evaluation.tables import CellValue, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHANCE_COLOUR = "#d95f0e"
CAPTION_WIDTH = 26  # characters of a line above a scene
SHARE_TABLES = ("counting", "places", "look-alikes", "wording", "digits")  # those whose rows are shares and chances
CONFUSION, DIFFERENCES = "counting-confusion", "differences"
PLOTS_OF_LIMITS = {
    **{name: (name,) for name in (*SHARE_TABLES, DIFFERENCES)},
    "counting": ("counting-scenes", "counting", CONFUSION),
    "places": ("places-scenes", "places"),
}
EXPLANATION = (
    "Figures in brackets are 95 % intervals: Wilson's for shares, from a paired bootstrap over pictures for "
    "differences, from a basic bootstrap for the spread over wordings. Ties count as errors. <i>above</i>: the whole "
    "interval is above chance; one row in twenty is so, or below, without a cause."
)


def write_limits_report(findings: LimitFindings, folder: Path, command: str) -> Path:
    """Write the page and its plots to `folder`; return the page. Raises InputError without matplotlib, OSError."""
    drawings = findings.folder
    facts = {
        **list_model_facts(findings.model, command),
        "data": escape(f"{len(drawings.drawings)} images of {drawings.source}, {drawings.language}")
        if drawings
        else "",
        "notes": format_lines(findings.notes),
        "left out": format_lines(f"{path}: {reason}" for path, reason in drawings.left_out) if drawings else "",
    }
    title = f"Limits of {findings.model.model}"
    page = ReportPage(title, facts, EXPLANATION, findings.tables, draw_limits(findings), PLOTS_OF_LIMITS)
    return write_page(page, folder)


def draw_limits(findings: LimitFindings) -> dict[str, bytes]:
    """Return PNG files by name. Raises InputError where matplotlib is not installed."""
    prepare_matplotlib()
    tables = {table.name: table for table in findings.tables}
    drawn: dict[str, Callable[[], Figure]] = {
        name: partial(draw_chance_bars, tables[name]) for name in SHARE_TABLES if name in tables
    }
    if DIFFERENCES in tables:
        drawn[DIFFERENCES] = partial(draw_differences, tables[DIFFERENCES])
    if findings.counting:
        drawn[CONFUSION] = partial(draw_number_matrix, findings.counting)
        drawn["counting-scenes"] = lambda: draw_scenes(list_counting_samples(*select_sampled(findings)))
    if findings.places:
        drawn["places-scenes"] = lambda: draw_scenes(list_pair_samples(*select_sampled(findings)))
    return {name: encode_png(draw()) for name, draw in drawn.items()}


def select_sampled(findings: LimitFindings) -> tuple[list[NamedDrawing], LimitPhrases]:
    phrases, drawings = PHRASES[findings.language], findings.folder.drawings if findings.folder else ()
    return select_countable(drawings, phrases, "scenes"), phrases


def draw_chance_bars(table: Table) -> "Figure":
    """Draw one bar per row, with its whiskers of 95 % and a mark at chance."""
    names = replace_undrawable([f"{row['task']} ({row['pictures']})" for row in table.rows], noun="row")
    shares = [share for row in table.rows if isinstance(share := row["right"], Share)]
    places, values = np.arange(len(names)), [share.value for share in shares]
    drawing, axes = create_figure(8.5, 1.5 + 0.36 * len(names))
    axes.barh(places, values, 0.6, color=DARK)
    whiskers = compute_whiskers(shares)
    axes.errorbar(values, places, xerr=whiskers, fmt="none", ecolor=GREY, elinewidth=1.2, capsize=3)
    draw_chance_marks(axes, places, [float(str(row["chance"])) for row in table.rows])
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share right; whiskers: 95 % interval; upright marks: chance")
    axes.set_title(table.title, loc="left", fontsize=11)
    return drawing


def draw_chance_marks(
    axes: "Axes", places: "np.ndarray[tuple[int], np.dtype[np.int64]]", chances: Sequence[float]
) -> None:
    axes.vlines(chances, places - 0.4, places + 0.4, color=CHANCE_COLOUR, linewidth=2.5)


def draw_number_matrix(result: CountingResult) -> "Figure":
    """Draw what each number of things was taken for."""
    counts = result.confusion_ll
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    drawing, axes = create_figure(5, 4.4)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour)
    axes.set_xticks(range(len(NUMBERS)), map(str, NUMBERS))
    axes.set_yticks(range(len(NUMBERS)), map(str, NUMBERS))
    axes.set_xlabel("number chosen")
    axes.set_ylabel("number of things")
    axes.set_title("Counting: scenes, shaded by share of the row", loc="left", fontsize=11)
    drawing.colorbar(image, ax=axes, shrink=0.7, label="share of the row")
    return drawing


def draw_differences(table: Table) -> "Figure":
    """Draw one interval per row, and a line at no difference."""
    values, low, high = (np.array([read_float(row, key) for row in table.rows]) for key in ("value", "low", "high"))
    places = np.arange(len(values))
    drawing, axes = create_figure(8.5, 1.5 + 0.4 * len(values))
    axes.errorbar(values, places, xerr=(values - low, high - values), fmt="o", color=DARK, ecolor=GREY, capsize=3)
    axes.axvline(0, color=CHANCE_COLOUR, linewidth=1.5)
    axes.set_yticks(places, [str(row["difference"]) for row in table.rows])
    axes.set_ylim(len(values) - 0.4, -0.6)
    axes.set_xlim(-1, 1)
    axes.set_xlabel("difference of the shares right, whiskers: 95 % interval")
    axes.set_title(table.title, loc="left", fontsize=11)
    return drawing


def read_float(row: Mapping[str, CellValue], key: str) -> float:
    value = row[key]
    if not isinstance(value, float):
        raise TypeError(f"{key} is {value!r}, not a number")
    return value


def draw_scenes(scenes: Sequence[tuple[Image.Image, str]]) -> "Figure":
    """Draw scenes as the model gets them, each below its right caption."""
    from matplotlib import pyplot

    drawing, panels = pyplot.subplots(1, len(scenes), figsize=(2.2 * len(scenes), 2.8), layout="constrained")
    captions = replace_undrawable([caption for _, caption in scenes], noun="scene")
    for axes, (scene, _), caption in zip(panels.flat, scenes, captions, strict=True):
        axes.imshow(np.asarray(scene))
        axes.set_title(fill(caption, CAPTION_WIDTH), fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    return drawing


def list_counting_samples(things: Sequence[NamedDrawing], phrases: LimitPhrases) -> list[tuple[Image.Image, str]]:
    """Return a scene of each number, with its caption."""
    random = np.random.default_rng(SEED)
    return [
        (compose_copies(thing.picture, number, random), phrases.count(number, thing.name)[0])
        for number, thing in zip(NUMBERS, things, strict=False)
    ]


def list_pair_samples(things: Sequence[NamedDrawing], phrases: LimitPhrases) -> list[tuple[Image.Image, str]]:
    """Return a pair in both orders on both axes, with their captions."""
    first, second = things[:2]
    return [
        (compose_pair(one.picture, other.picture, axis), phrases.place(axis, one.name, other.name)[0])
        for axis in AXES
        for one, other in ((first, second), (second, first))
    ]
