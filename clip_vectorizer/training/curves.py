"""The curve of a training: NDJSON while it runs, a PNG at its end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip_vectorizer.errors import InputError

CURVE, PLOT = "curve.ndjson", "curve.png"
DPI = 110
PANEL_WIDTH = 5.2  # inches
COLOURS = ("#2171b5", "#d95f0e")
CurveLine = dict[
    str, Any
]  # `step` and `epoch`, with `loss`, `learning_rate`, `scale`, or with two recalls; of SimCLR, with its measures


class CurveFile:
    """Lines of `curve.ndjson`; each is in the file when `add` returns."""

    def __init__(self, folder: Path, steps: int) -> None:
        """Keep the lines of the first `steps` steps: those after a checkpoint are computed again."""
        self._file = folder / CURVE
        kept = [line for line in read_curve(folder) if line["step"] <= steps]
        self._file.write_text("".join(map(format_line, kept)), encoding="utf-8")

    def add(self, line: CurveLine) -> None:
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(format_line(line))


def format_line(line: CurveLine) -> str:
    return json.dumps(line) + "\n"


def read_curve(folder: Path) -> list[CurveLine]:
    """Return the lines; [] without a file. A last line that a kill cut off is left out."""
    file = folder / CURVE
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def draw_curve(folder: Path) -> Path:
    """Draw `curve.png` from `curve.ndjson`. Raises InputError where matplotlib is not installed."""
    drawing = start_drawing(2)
    lines = read_curve(folder)
    learned = [line for line in lines if "loss" in line]
    measured = [line for line in lines if "image_to_text" in line]
    left, right = drawing.subplots(1, 2)
    left.plot(pick(learned, "step"), pick(learned, "loss"), color=COLOURS[0], linewidth=1)
    left.set(xlabel="step", ylabel="loss", title="Loss of each batch")
    for name, colour in zip(("image_to_text", "text_to_image"), COLOURS, strict=True):
        first = [values[0] for values in pick(measured, name)]
        right.plot(pick(measured, "step"), first, "o-", color=colour, label=name.replace("_to_", " -> "))
    right.set(xlabel="step", ylabel="recall@1", title="Validation", ylim=(0, 1.02))
    if measured:
        right.legend(loc="lower right")
    return save_drawing(drawing, folder)


@dataclass(frozen=True, slots=True)
class CurvePanel:
    """One pair of axes with a curve for each of `names`, which are of every line of the file."""

    title: str
    unit: str
    names: tuple[str, ...]
    limits: tuple[float, float] | None = None


def draw_panels(folder: Path, panels: Sequence[CurvePanel]) -> Path:
    """Draw `curve.png` from `curve.ndjson`, panel by panel. Raises InputError where matplotlib is not installed."""
    drawing = start_drawing(len(panels))
    lines = read_curve(folder)
    for axes, panel in zip(drawing.subplots(1, len(panels)), panels, strict=True):
        for name, colour in zip(panel.names, COLOURS, strict=False):
            axes.plot(pick(lines, "step"), pick(lines, name), color=colour, linewidth=1, label=name)
        axes.set(xlabel="step", ylabel=panel.unit, title=panel.title, ylim=panel.limits)
        if len(panel.names) > 1:
            axes.legend()
    return save_drawing(drawing, folder)


def start_drawing(panels: int) -> Any:
    """A figure of matplotlib for so many panels. Raises InputError where it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            f"{PLOT} is drawn by matplotlib, which is not installed; pip install 'clip-vectorizer[eval]'"
        ) from error
    return Figure(figsize=(PANEL_WIDTH * panels, 4.2), layout="constrained")


def save_drawing(drawing: Any, folder: Path) -> Path:
    for axes in drawing.axes:
        axes.grid(alpha=0.3)
    drawing.savefig(folder / PLOT, dpi=DPI)
    return folder / PLOT


def pick(lines: Sequence[CurveLine], name: str) -> list[Any]:
    return [line[name] for line in lines]
