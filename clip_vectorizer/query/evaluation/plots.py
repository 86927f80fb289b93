"""The plots of an evaluation, drawn by matplotlib without a display and returned as PNG files."""

import io
from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.evaluation.evaluate import Evaluation, select_shown_result
from clip_vectorizer.query.evaluation.retrieval import RetrievalResult
from clip_vectorizer.query.evaluation.statistics import Share, is_right_at
from clip_vectorizer.query.evaluation.tables import CellValue
from clip_vectorizer.query.evaluation.zero_shot import ZeroShotResult

LIGHT, DARK, GREY = "#9ecae1", "#2171b5", "#555555"
LANGUAGE_COLOURS = {"en": "#2171b5", "zh": "#d95f0e"}
CURVE_STYLES = ("-", "--", "-.", ":")
MAX_CLASSES = 60  # a matrix with more cannot be read
MAX_DEPTH = 20  # k of the recall curves
DPI = 110
HAN_FONTS = (  # of Linux, macOS and Windows; each has the Chinese characters
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei"),
    *("PingFang SC", "Heiti SC", "Microsoft YaHei", "SimHei", "Droid Sans Fallback", "Arial Unicode MS"),
)


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_plots(evaluation: Evaluation) -> dict[str, bytes]:
    """Return PNG files by name. Raises InputError where matplotlib is not installed."""
    prepare_matplotlib()
    shown = select_shown_result(evaluation.results)
    few_shot = next(table for table in evaluation.tables if table.name == "few-shot")
    drawn: dict[str, Callable[[], Figure]] = {
        "zero-shot": lambda: draw_zero_shot_bars(evaluation.results),
        "few-shot": lambda: draw_few_shot_bars(few_shot.rows),
        "classes": lambda: draw_class_bars(shown),
    }
    if len(shown.task.classes) <= MAX_CLASSES:
        drawn["confusion"] = lambda: draw_confusion_matrix(shown)
    if evaluation.searches:
        drawn["recall"] = lambda: draw_recall_curves(evaluation.searches)
    return {name: encode_png(draw()) for name, draw in drawn.items()}


def draw_bars(names: Sequence[str], top_1: Sequence[Share], top_5: Sequence[Share], title: str) -> "Figure":
    """Draw one row per name: top-5 behind top-1, with whiskers of 95 %."""
    drawing, axes = create_figure(8.5, 1.4 + 0.34 * len(names))
    places = np.arange(len(names))
    # The whiskers of top-5 are moved up so that they do not cover those of top-1.
    for shares, colour, height, up, label in ((top_5, LIGHT, 0.76, 0.3, "top-5"), (top_1, DARK, 0.4, 0, "top-1")):
        values = [share.value for share in shares]
        axes.barh(places, values, height, color=colour, label=label)
        axes.errorbar(
            values, places - up, xerr=compute_whiskers(shares), fmt="none", ecolor=GREY, elinewidth=1, capsize=2
        )
    axes.set_yticks(places, replace_undrawable(names))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of images, whiskers: 95 % interval")
    axes.set_title(title, loc="left", fontsize=11)
    axes.legend(loc="lower right", frameon=True)
    return drawing


def compute_whiskers(shares: Sequence[Share]) -> Any:
    ends = [(share.value - share.interval[0], share.interval[1] - share.value) for share in shares]
    return np.maximum(np.array(ends).T, 0)


def draw_zero_shot_bars(results: Sequence[ZeroShotResult]) -> "Figure":
    names = [f"{len(each.task.classes)} {each.task.class_source}s, {describe_prompts(each)}" for each in results]
    return draw_bars(names, *compute_top_shares(results), "Zero-shot classification: classes, language, prompts")


def describe_prompts(result: ZeroShotResult) -> str:
    return f"{result.task.language}, {result.prompts}"


def compute_top_shares(results: Sequence[ZeroShotResult]) -> tuple[list[Share], list[Share]]:
    first = [Share.of(is_right_at(result.ranks_n, 1)) for result in results]
    return first, [Share.of(is_right_at(result.ranks_n, 5)) for result in results]


def draw_few_shot_bars(rows: Sequence[Mapping[str, CellValue]]) -> "Figure":
    names = [f"{row['method']}, {row['shots']} a class" if row["shots"] else str(row["method"]) for row in rows]
    shares = [[row[key] for row in rows] for key in ("top_1", "top_5")]
    top_1, top_5 = ([each for each in column if isinstance(each, Share)] for column in shares)
    return draw_bars(names, top_1, top_5, "With labelled images, cross-validated")


def draw_class_bars(result: ZeroShotResult) -> "Figure":
    counts, ranks_n, truth_n = result.confusion_ll, result.ranks_n, result.task.truth_n
    order = sorted(range(len(counts)), key=lambda each: -counts[each, each] / max(1, counts[each].sum()))[:MAX_CLASSES]
    names = [f"{replace_undrawable(result.task.classes)[each]} ({counts[each].sum()})" for each in order]
    top_1 = [Share.of(is_right_at(ranks_n[truth_n == each], 1)) for each in order]
    top_5 = [Share.of(is_right_at(ranks_n[truth_n == each], 5)) for each in order]
    return draw_bars(names, top_1, top_5, f"Each class (images), prompts {result.prompts}")


def draw_confusion_matrix(result: ZeroShotResult) -> "Figure":
    names, counts = replace_undrawable(result.task.classes), result.confusion_ll
    size = 2.6 + 0.36 * len(names)
    drawing, axes = create_figure(size + 0.8, size)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"Confusion, prompts {result.prompts}: images, shaded by share of the row", loc="left", fontsize=11)
    drawing.colorbar(image, ax=axes, shrink=0.6, label="share of the row")
    return drawing


def draw_recall_curves(searches: Sequence[RetrievalResult]) -> "Figure":
    """Draw one panel per direction: recall over k, each curve with its band of 95 %."""
    from matplotlib import pyplot

    directions = list(dict.fromkeys(each.direction for each in searches))
    size = (5.2 * len(directions), 4.6)
    drawing, panels = pyplot.subplots(1, len(directions), figsize=size, layout="constrained", sharey=True)
    for axes, direction in zip(np.atleast_1d(panels), directions, strict=True):
        for each in (found for found in searches if found.direction == direction):
            draw_recall_curve(axes, each, searches)
        axes.set_title(f"{direction}, {searches[0].candidates} candidates", loc="left", fontsize=11)
        axes.set_xlabel("k")
        axes.set_xticks([1, 5, 10, 15, 20])
        axes.grid(alpha=0.3)
        axes.set_ylim(0, 1)
    np.atleast_1d(panels)[0].set_ylabel("recall@k, band: 95 % interval")
    np.atleast_1d(panels)[-1].legend(loc="lower right", fontsize=9)
    return drawing


def draw_recall_curve(axes: "Axes", each: RetrievalResult, searches: Sequence[RetrievalResult]) -> None:
    own = (each.language, each.direction)
    mates = [other.prompts for other in searches if (other.language, other.direction) == own]
    style = CURVE_STYLES[mates.index(each.prompts) % len(CURVE_STYLES)]
    colour = LANGUAGE_COLOURS.get(each.language, GREY)
    ks = np.arange(1, MAX_DEPTH + 1)
    shares = [Share.of(is_right_at(each.ranks_q, int(k))) for k in ks]
    axes.plot(ks, [share.value for share in shares], style, color=colour, label=f"{each.language}, {each.prompts}")
    if style == CURVE_STYLES[0]:
        low, high = np.array([share.interval for share in shares]).T
        axes.fill_between(ks, low, high, color=colour, alpha=0.15, linewidth=0)


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def prepare_matplotlib() -> None:
    """Configure matplotlib: no display, fonts with Chinese characters. Raises InputError where it is not installed."""
    try:
        import matplotlib
    except ImportError as error:
        raise InputError(
            "--report draws with matplotlib, which is not installed; pip install 'clip-vectorizer[eval]'"
        ) from error
    matplotlib.use("Agg")
    fonts = [font for font in HAN_FONTS if font in list_installed_fonts()]
    matplotlib.rcParams["font.sans-serif"] = [*fonts, "DejaVu Sans"] if fonts else ["DejaVu Sans"]


def list_installed_fonts() -> set[str]:
    from matplotlib import font_manager

    return {font.name for font in font_manager.fontManager.ttflist}


def replace_undrawable(names: Sequence[str], fonts: Set[str] | None = None, noun: str = "class") -> list[str]:
    """Replace names that the fonts cannot draw by `class 3` and so on. `fonts` None: the installed ones."""
    if (list_installed_fonts() if fonts is None else fonts) & set(HAN_FONTS):
        return list(names)
    return [name if is_drawable(name) else f"{noun} {number}" for number, name in enumerate(names, start=1)]


def is_drawable(text: str) -> bool:
    """Whether DejaVu Sans, which comes with matplotlib, has all characters of `text`."""
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    known = FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap()
    return all(ord(character) in known for character in text)


def create_figure(wide: float, high: float) -> "tuple[Figure, Axes]":
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(figsize=(wide, high), layout="constrained")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return drawing, axes


def encode_png(drawing: "Figure") -> bytes:
    from matplotlib import pyplot

    file = io.BytesIO()
    drawing.savefig(file, format="png", dpi=DPI)
    pyplot.close(drawing)
    return file.getvalue()
