"""Handwritten digits: zero-shot, against logistic regression on the pixels and on the model's features.

The paper's own example of what CLIP cannot do (Radford et al. 2021, section 6): logistic regression on raw pixels beats
it on MNIST. The digits here are the 1,797 of 8 x 8 pixels that come with scikit-learn, so nothing is downloaded.

N digits · L classes · D features
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.regression import fit_regression
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.limits_choices import (
    PictureEncoder,
    build_difference_row,
    build_share_row,
    embed_captions,
    embed_pictures,
)
from clip_vectorizer.query.evaluation.limits_phrases import LimitPhrases
from clip_vectorizer.query.evaluation.limits_scenes import encode_scene
from clip_vectorizer.query.evaluation.statistics import BooleanArray, IntegerArray, predict_classes
from clip_vectorizer.query.evaluation.tables import CellValue, Table

DIGITS = 10
INK = 16  # the darkest value of a pixel in scikit-learn's digits
SIDE = 96  # pixels of a digit as a picture
BORDER = 12  # pixels of paper around it
FOLDS = 5
# C, the inverse of the regularisation, chosen for each fold on a part of its training digits
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
MAX_STEPS = 300  # of L-BFGS: what needs more is overfitted, and not chosen
GRADIENT_TOLERANCE = 1e-3
ON_PIXELS, ON_FEATURES = "regression, pixels", "regression, features"
Features = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DigitImages:
    """Digits as scikit-learn has them, in its order, in which the digits of one writer are neighbours."""

    pixels_nd: Features  # (N, 64), 0 for paper to 1 for ink
    truth_n: IntegerArray

    @property
    def pictures(self) -> list[bytes]:
        return [draw_digit(pixels_d) for pixels_d in self.pixels_nd]


@dataclass(frozen=True, slots=True)
class DigitsResult:
    """For each way to read the digits, which of them it read right."""

    right: dict[str, BooleanArray]
    best_zero_shot: str


def load_digit_images() -> DigitImages:
    """Raises InputError if scikit-learn is not installed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise InputError(
            "the digits come with scikit-learn, which is not installed; pip install 'clip-vectorizer[eval]'"
        ) from error
    found = load_digits()
    return DigitImages(found.data / INK, found.target.astype(np.int64))


def draw_digit(pixels_d: Features) -> bytes:
    """Return a PNG file: dark ink on white paper, as the digits were written."""
    grey = Image.fromarray(np.round(255 * (1 - pixels_d.reshape(8, 8))).astype(np.uint8))
    paper = Image.new("L", (SIDE, SIDE), 255)
    paper.paste(grey.resize((SIDE - 2 * BORDER, SIDE - 2 * BORDER), Image.Resampling.BICUBIC), (BORDER, BORDER))
    return encode_scene(paper.convert("RGB"))


def measure_digits(
    digits: DigitImages, phrases: LimitPhrases, encoder: PictureEncoder, progress: Progress
) -> DigitsResult:
    """Read all digits by the text of each class, and by regression that is trained on the other folds."""
    features_nd = embed_pictures(digits.pictures, encoder, progress, "digits")
    right: dict[str, BooleanArray] = {}
    for name, (template, words) in phrases.digits.items():
        texts_ld = embed_captions([(template.replace("{}", word),) for word in words], encoder, progress, "digits")
        chosen_n = predict_classes(features_nd @ texts_ld.T, digits.truth_n)
        right[f"zero-shot, {name}"] = chosen_n == digits.truth_n
    best = max(right, key=lambda name: int(right[name].sum()))
    for name, values_nd in ((ON_PIXELS, digits.pixels_nd), (ON_FEATURES, features_nd.astype(np.float64))):
        progress(f"digits: logistic {name}")
        right[name] = read_by_regression(values_nd, digits.truth_n)
    return DigitsResult(right, best)


def read_by_regression(values_nd: Features, truth_n: IntegerArray) -> BooleanArray:
    """Return (N,): whether a regression that was trained on the other folds reads each digit right."""
    right_n = np.zeros(len(truth_n), dtype=np.bool_)
    for train, test in split_digits(truth_n):
        strength = choose_strength(values_nd[train], truth_n[train])
        right_n[test] = score_regression(values_nd, truth_n, train, test, strength)
    return right_n


def split_digits(truth_n: IntegerArray) -> Iterator[tuple[IntegerArray, IntegerArray]]:
    """Yield (training, test) numbers. Not shuffled, so that most writers are on one side only."""
    from sklearn.model_selection import StratifiedKFold

    yield from StratifiedKFold(FOLDS).split(np.zeros(len(truth_n)), truth_n)


def choose_strength(values_nd: Features, truth_n: IntegerArray) -> float:
    train, test = next(split_digits(truth_n))
    hits = {each: int(score_regression(values_nd, truth_n, train, test, each).sum()) for each in STRENGTHS}
    return max(hits, key=lambda each: hits[each])


def score_regression(
    values_nd: Features, truth_n: IntegerArray, train: IntegerArray, test: IntegerArray, strength: float
) -> BooleanArray:
    """Return whether each digit of `test` is read right; both parts are scaled by mean and deviation of `train`."""
    mean_d, deviation_d = values_nd[train].mean(axis=0), values_nd[train].std(axis=0)
    scaled_nd = (values_nd - mean_d) / np.where(deviation_d > 0, deviation_d, 1)  # the corners are always paper
    right_n: BooleanArray = (
        fit_digits(scaled_nd[train], truth_n[train], strength).predict(scaled_nd[test]) == truth_n[test]
    )
    return right_n


def fit_digits(values_nd: Features, truth_n: IntegerArray, strength: float) -> Any:
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():  # a strength that does not converge is not the one that is chosen
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit_regression(values_nd, truth_n, C=strength, tol=GRADIENT_TOLERANCE, max_iter=MAX_STEPS)


def build_digits_table(result: DigitsResult) -> Table:
    rows = [build_share_row(name, right_n, 1 / DIGITS) for name, right_n in result.right.items()]
    title = f"Digits: scikit-learn's, zero-shot and by regression ({FOLDS}-fold cross-validation)"
    return Table("digits", title, rows)


def build_digits_differences(result: DigitsResult) -> list[dict[str, CellValue]]:
    pixels_n = result.right[ON_PIXELS]
    return [
        build_difference_row(f"{name}, less pixels", result.right[name], pixels_n)
        for name in (result.best_zero_shot, ON_FEATURES)
    ]
