"""The pictures of an evaluation."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_vectorizer.query.evaluation.drawing import figure, png, prepare, readable
from clip_vectorizer.query.evaluation.evaluate import Evaluation, best_known
from clip_vectorizer.query.evaluation.intervals import Share
from clip_vectorizer.query.evaluation.metrics import right_at
from clip_vectorizer.query.evaluation.retrieval import Retrieved
from clip_vectorizer.query.evaluation.tables import Value
from clip_vectorizer.query.evaluation.zero_shot import Answer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LIGHT, DARK, GREY = "#9ecae1", "#2171b5", "#555555"
LANGUAGE_COLOURS = {"en": "#2171b5", "zh": "#d95f0e"}
CURVE_STYLES = ("-", "--", "-.", ":")
MOST_CLASSES = 60  # a matrix with more cannot be read
DEEPEST = 20  # k of the recall curves


def pictures(evaluation: Evaluation) -> dict[str, bytes]:
    """PNG files by name. Raises InputError where matplotlib is not installed."""
    prepare()
    shown = best_known(evaluation.answers)
    few_shot = next(table for table in evaluation.tables if table.name == "few-shot")
    drawn: dict[str, Callable[[], Figure]] = {
        "zero-shot": lambda: zero_shot_bars(evaluation.answers),
        "few-shot": lambda: few_shot_bars(few_shot.rows),
        "classes": lambda: class_bars(shown),
    }
    if len(shown.question.classes) <= MOST_CLASSES:
        drawn["confusion"] = lambda: confusion_matrix(shown)
    if evaluation.searches:
        drawn["recall"] = lambda: recall_curves(evaluation.searches)
    return {name: png(draw()) for name, draw in drawn.items()}


def bars(names: Sequence[str], top_1: Sequence[Share], top_5: Sequence[Share], title: str) -> "Figure":
    """A line each: top-5 behind top-1, with whiskers of 95 %."""
    drawing, axes = figure(8.5, 1.4 + 0.34 * len(names))
    places = np.arange(len(names))
    # The whiskers of top-5 above the inner bar: they would be drawn over those of top-1.
    for shares, colour, height, up, label in ((top_5, LIGHT, 0.76, 0.3, "top-5"), (top_1, DARK, 0.4, 0, "top-1")):
        values = [share.value for share in shares]
        axes.barh(places, values, height, color=colour, label=label)
        axes.errorbar(values, places - up, xerr=whiskers(shares), fmt="none", ecolor=GREY, elinewidth=1, capsize=2)
    axes.set_yticks(places, readable(names))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of images, whiskers: 95 % interval")
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(loc="lower right", frameon=True)
    return drawing


def whiskers(shares: Sequence[Share]) -> Any:
    ends = [(share.value - share.interval[0], share.interval[1] - share.value) for share in shares]
    return np.maximum(np.array(ends).T, 0)


def zero_shot_bars(answers: Sequence[Answer]) -> "Figure":
    names = [f"{len(each.question.classes)} {each.question.classes_are}s, {asked(each)}" for each in answers]
    return bars(names, *tops(answers), "Zero-shot classification: classes, language, prompts")


def asked(answer: Answer) -> str:
    return f"{answer.question.language}, {answer.prompts}"


def tops(answers: Sequence[Answer]) -> tuple[list[Share], list[Share]]:
    first = [Share.of(right_at(answer.ranks_n, 1)) for answer in answers]
    return first, [Share.of(right_at(answer.ranks_n, 5)) for answer in answers]


def few_shot_bars(rows: Sequence[Mapping[str, Value]]) -> "Figure":
    names = [f"{row['method']}, {row['shots']} a class" if row["shots"] else str(row["method"]) for row in rows]
    shares = [[row[key] for row in rows] for key in ("top_1", "top_5")]
    top_1, top_5 = ([each for each in column if isinstance(each, Share)] for column in shares)
    return bars(names, top_1, top_5, "With labelled images, cross-validated")


def class_bars(answer: Answer) -> "Figure":
    counts, ranks_n, truth_n = answer.confusion_ll, answer.ranks_n, answer.question.truth_n
    order = sorted(range(len(counts)), key=lambda each: -counts[each, each] / max(1, counts[each].sum()))[:MOST_CLASSES]
    names = [f"{readable(answer.question.classes)[each]} ({counts[each].sum()})" for each in order]
    top_1 = [Share.of(right_at(ranks_n[truth_n == each], 1)) for each in order]
    top_5 = [Share.of(right_at(ranks_n[truth_n == each], 5)) for each in order]
    return bars(names, top_1, top_5, f"Each class (images), prompts {answer.prompts}")


def confusion_matrix(answer: Answer) -> "Figure":
    names, counts = readable(answer.question.classes), answer.confusion_ll
    size = 2.6 + 0.36 * len(names)
    drawing, axes = figure(size + 0.8, size)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.set_title(f"Confusion, prompts {answer.prompts}: images, shaded by share of the row", loc="left", fontsize=11)
    drawing.colorbar(image, ax=axes, shrink=0.6, label="share of the row")
    return drawing


def recall_curves(searches: Sequence[Retrieved]) -> "Figure":
    """A panel a direction: recall over k, each curve with its band of 95 %."""
    from matplotlib import pyplot

    directions = list(dict.fromkeys(each.direction for each in searches))
    size = (5.2 * len(directions), 4.6)
    drawing, panels = pyplot.subplots(1, len(directions), figsize=size, layout="constrained", sharey=True)
    for axes, direction in zip(np.atleast_1d(panels), directions, strict=True):
        for each in (found for found in searches if found.direction == direction):
            curve(axes, each, searches)
        axes.set_title(f"{direction}, {searches[0].candidates} candidates", loc="left", fontsize=11)
        axes.set_xlabel("k")
        axes.set_xticks([1, 5, 10, 15, 20])
        axes.grid(alpha=0.3)
        axes.set_ylim(0, 1)
    np.atleast_1d(panels)[0].set_ylabel("recall@k, band: 95 % interval")
    np.atleast_1d(panels)[-1].legend(loc="lower right", fontsize=9)
    return drawing


def curve(axes: "Axes", each: Retrieved, searches: Sequence[Retrieved]) -> None:
    own = (each.language, each.direction)
    mates = [other.prompts for other in searches if (other.language, other.direction) == own]
    style = CURVE_STYLES[mates.index(each.prompts) % len(CURVE_STYLES)]
    colour = LANGUAGE_COLOURS.get(each.language, GREY)
    ks = np.arange(1, DEEPEST + 1)
    shares = [Share.of(right_at(each.ranks_q, int(k))) for k in ks]
    axes.plot(ks, [share.value for share in shares], style, color=colour, label=f"{each.language}, {each.prompts}")
    if style == CURVE_STYLES[0]:
        low, high = np.array([share.interval for share in shares]).T
        axes.fill_between(ks, low, high, color=colour, alpha=0.15, linewidth=0)
