"""What gives drawings away without a look: a logistic regression on file size, page size, dpi and path segments.

On scans it should do no better than chance, else a model that is tested on the corpus could win by the paper alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pypdfium2
import pypdfium2.raw as pdfium
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
FEATURES = ("bytes of the file a page", "page width", "page height", "dpi", "path segments")


class LabelledPage(Protocol):
    """The fields of a line of pages.jsonl that are needed here."""

    @property
    def path(self) -> str: ...
    @property
    def page(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def scan(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class LeakFigures:
    scans: int  # pages
    scans_accuracy: float  # balanced, 0.5 is chance
    others: int
    others_accuracy: float


def measure_leaks(folder: Path, lines: Sequence[LabelledPage]) -> LeakFigures:
    """Balanced accuracies of drawing against the rest, cross-validated by files, of scans and of other pages."""
    facts = {(line.path, line.page): row for line, row in zip(lines, read_facts(folder, lines), strict=True)}
    halves = [[line for line in lines if line.scan == scan] for scan in (True, False)]
    scores = [score([facts[line.path, line.page] for line in half], half) for half in halves]
    return LeakFigures(len(halves[0]), scores[0], len(halves[1]), scores[1])


def score(rows: Sequence[Sequence[float]], lines: Sequence[LabelledPage]) -> float:
    drawing = np.array([line.kind == "drawing" for line in lines])
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    guesses = cross_val_predict(model, np.array(rows), drawing, groups=[line.path for line in lines], cv=folds)
    return float(balanced_accuracy_score(drawing, guesses))


def read_facts(folder: Path, lines: Sequence[LabelledPage]) -> npt.NDArray[np.float64]:
    """(N, 5) FEATURES of each page: sizes in points, bytes and segments as logarithms."""
    rows: list[list[float]] = []
    for path in dict.fromkeys(line.path for line in lines):
        numbers = [line.page for line in lines if line.path == path]
        with pypdfium2.PdfDocument(folder / path) as document:
            share = (folder / path).stat().st_size / len(document)
            rows += [[math.log(share), *read_page(document[number - 1])] for number in numbers]
    return np.array(rows)


def read_page(page: pypdfium2.PdfPage) -> tuple[float, float, float, float]:
    """Width and height in points, dots per inch of a page that is one image (else 0), logarithm of the segments."""
    width, height = page.get_size()
    objects = list(page.get_objects(max_depth=1))
    images = [each for each in objects if each.type == pdfium.FPDF_PAGEOBJ_IMAGE]
    segments = sum(pdfium.FPDFPath_CountSegments(each) for each in objects if each.type == pdfium.FPDF_PAGEOBJ_PATH)
    dpi = images[0].get_px_size()[0] / width * 72 if len(objects) == len(images) == 1 else 0.0
    return width, height, round(dpi), math.log1p(segments)


def format_leaks(figures: LeakFigures) -> str:
    return (
        f"balanced accuracy of drawing against the rest by {', '.join(FEATURES)}; 0.5 is chance\n"
        f"scans  {figures.scans_accuracy:.3f}  ({figures.scans} pages)\n"
        f"others {figures.others_accuracy:.3f}  ({figures.others} pages)"
    )
