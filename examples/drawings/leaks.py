"""What gives drawings away without a look: a logistic regression on file size, page size, dpi and path segments.

On scans it should do no better than chance, else a model that is tested on the corpus could win by the paper alone.
Beside it, stricter, boosted trees that also get the bytes of the page's own image.
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
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
FACTS = ("bytes of the file a page", "page width", "page height", "dpi", "path segments")  # and last the image's bytes

Facts = npt.NDArray[np.float64]  # (N, len(FACTS) + 1)


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
class LeakScore:
    """Balanced accuracies of drawing against the rest, cross-validated by files; 0.5 is chance."""

    name: str
    pages: int
    linear: float  # of the facts
    trees: float  # of the facts and the image's bytes


def measure_leaks(folder: Path, lines: Sequence[LabelledPage]) -> list[LeakScore]:
    """A row for the scans and one for the other pages; both need at least FOLDS files of each."""
    return [
        score_leaks("scans", folder, [line for line in lines if line.scan]),
        score_leaks("others", folder, [line for line in lines if not line.scan]),
    ]


def score_leaks(name: str, folder: Path, lines: Sequence[LabelledPage]) -> LeakScore:
    facts = read_facts(folder, lines)
    linear = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    trees = HistGradientBoostingClassifier(max_iter=60, class_weight="balanced", random_state=0)
    return LeakScore(name, len(lines), score(linear, facts[:, : len(FACTS)], lines), score(trees, facts, lines))


def score(model: ClassifierMixin, facts: Facts, lines: Sequence[LabelledPage]) -> float:
    """The balanced accuracy of a model whose guesses for a file come from other files."""
    drawing = np.array([line.kind == "drawing" for line in lines])
    folds = GroupKFold(FOLDS, shuffle=True, random_state=0)
    guesses = cross_val_predict(model, facts, drawing, groups=[line.path for line in lines], cv=folds)
    return float(balanced_accuracy_score(drawing, guesses))


def read_facts(folder: Path, lines: Sequence[LabelledPage]) -> Facts:
    """The facts of the pages in the order of the lines: sizes in points; bytes and segments as logarithms."""
    rows: dict[tuple[str, int], list[float]] = {}
    for path in {line.path for line in lines}:
        with pypdfium2.PdfDocument(folder / path) as document:
            share = (folder / path).stat().st_size / len(document)
            for number, page in enumerate(document, 1):
                rows[path, number] = [math.log(share), *read_page(page)]
    return np.array([rows[line.path, line.page] for line in lines])


def read_page(page: pypdfium2.PdfPage) -> tuple[float, ...]:
    """Width, height, dpi of a page that is one image (else 0), logarithms of path segments and of the image's bytes."""
    width, height = page.get_size()
    objects = list(page.get_objects(max_depth=1))
    paths = [each for each in objects if each.type == pdfium.FPDF_PAGEOBJ_PATH]
    segments = math.log1p(sum(pdfium.FPDFPath_CountSegments(each) for each in paths))
    if len(objects) != 1 or objects[0].type != pdfium.FPDF_PAGEOBJ_IMAGE:
        return width, height, 0, segments, 0
    dpi = round(objects[0].get_px_size()[0] / width * 72)
    return width, height, dpi, segments, math.log(pdfium.FPDFImageObj_GetImageDataRaw(objects[0], None, 0))


def format_leaks(scores: Sequence[LeakScore]) -> str:
    """A table for people."""
    rows = [f"{each.name:8}{each.pages:6}{each.linear:10.3f}{each.trees:8.3f}" for each in scores]
    about = f"drawing against the rest by {', '.join(FACTS)}:\nbalanced accuracy by files, 0.5 is chance"
    return "\n".join([about, f"{'':8}{'pages':>6}{'logistic':>10}{'trees':>8}", *rows])
