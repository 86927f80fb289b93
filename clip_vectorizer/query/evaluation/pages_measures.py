"""Figures of the pages experiment, with intervals over files: pages of one file are alike, so files are drawn.

N pages · Q queries · M candidates · D dimensions · F files · R resamples
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clip_vectorizer.query.adapt.regression import fit_regression
from clip_vectorizer.query.evaluation.statistics import SEED, BooleanArray
from clip_vectorizer.vectors import Vectors, unit

FigureArray = npt.NDArray[np.float64]
Measure = Callable[[FigureArray], FigureArray]  # (R, N) weights of pages -> (R,) figures
FILE_RESAMPLES = 2000
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # C of the probe, of standardised dimensions
FOLDS = 5
PRECISION_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def weigh_files(files: Sequence[str], resamples: int = FILE_RESAMPLES) -> FigureArray:
    """(R + 1, N): how often each page is drawn, when files are drawn with replacement; first all pages once."""
    _, of_page_n = np.unique(list(files), return_inverse=True)
    count = int(of_page_n.max()) + 1
    drawn = np.random.default_rng(SEED).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.concatenate([np.ones((1, count)), drawn])[:, of_page_n].astype(np.float64)


def estimate(values_r: FigureArray) -> Estimate | None:
    """Return the first value with the interval of the others; None where it has none."""
    drawn = values_r[1:][np.isfinite(values_r[1:])]
    if not np.isfinite(values_r[0]) or not len(drawn):
        return None
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(float(values_r[0]), float(low), float(high))


def average_precision(weights_rn: FigureArray, truth_n: BooleanArray, scores_n: FigureArray) -> FigureArray:
    """(R,): the sum of precision times gain of recall over the thresholds; equal scores have one threshold."""
    order = np.argsort(-scores_n, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores_n[order]) != 0, True))
    all_rn = np.cumsum(weights_rn[:, order], axis=1)[:, ends]
    right_rn = np.cumsum(weights_rn[:, order] * truth_n[order], axis=1)[:, ends]
    precision_rn = right_rn / np.maximum(all_rn, 1)
    gains_rn = np.diff(right_rn, axis=1, prepend=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        figures: FigureArray = (precision_rn * gains_rn).sum(axis=1) / right_rn[:, -1]
    return figures


def balanced_accuracy(weights_rn: FigureArray, truth_n: BooleanArray, predicted_n: BooleanArray) -> FigureArray:
    """(R,): the mean of the recalls of both classes."""
    right_n = truth_n == predicted_n
    with np.errstate(invalid="ignore", divide="ignore"):
        recalls = [(weights_rn[:, own] @ right_n[own]) / weights_rn[:, own].sum(axis=1) for own in (truth_n, ~truth_n)]
    return np.asarray(np.mean(recalls, axis=0), dtype=np.float64)


def weighted_mean(weights_rn: FigureArray, values_n: FigureArray) -> FigureArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        means: FigureArray = weights_rn @ values_n / weights_rn.sum(axis=1)
    return means


@dataclass(frozen=True, slots=True, eq=False)
class FittedProbe:
    """A logistic regression on standardised dimensions, applied to N pages."""

    logits_n: FigureArray
    strength: float  # scikit-learn's C


def fit_probe(train_md: Vectors, truth_m: BooleanArray, files_m: Sequence[str], test_nd: Vectors) -> FittedProbe:
    """Learn from M pages. C is that of the best average precision in cross-validation by files.

    Raises InputError without scikit-learn.
    """
    learned, tested = standardise(train_md, train_md), standardise(train_md, test_nd)
    folds_m = deal_files(files_m)

    def judge(strength: float) -> float:
        logits_m = np.zeros(len(learned))
        for fold in np.unique(folds_m):
            held = folds_m == fold
            if len(np.unique(truth_m[~held])) == 2:
                logits_m[held] = fit_logits(learned[~held], truth_m[~held], learned[held], strength)
        return float(average_precision(np.ones((1, len(learned))), truth_m, logits_m)[0])

    best = max(STRENGTHS, key=judge)
    return FittedProbe(fit_logits(learned, truth_m, tested, best), best)


def fit_left_out(
    rows_nd: Vectors, truth_n: BooleanArray, files_n: Sequence[str], strength: float
) -> FigureArray | None:
    """(N,) logits of each page by a probe that learned from the pages of other files; None where these have one kind.

    `strength`: C, chosen elsewhere, since few pages are left to choose it by.
    """
    folds_n, logits_n = deal_files(files_n), np.zeros(len(rows_nd))
    for fold in np.unique(folds_n):
        held = folds_n == fold
        if len(np.unique(truth_n[~held])) < 2:
            return None
        rest = rows_nd[~held]
        logits_n[held] = fit_logits(standardise(rest, rest), truth_n[~held], standardise(rest, rows_nd[held]), strength)
    return logits_n


def deal_files(files_m: Sequence[str]) -> npt.NDArray[np.intp]:
    """(M,): the fold of each page, 0 to FOLDS - 1; pages of one file are in one fold."""
    _, of_file_m = np.unique(list(files_m), return_inverse=True)
    folds: npt.NDArray[np.intp] = np.random.default_rng(SEED).permutation(int(of_file_m.max()) + 1)[of_file_m] % FOLDS
    return folds


def standardise(learned_md: Vectors, rows_nd: Vectors) -> Vectors:
    """Return rows with the mean and the spread of those that are learned from."""
    scaled: Vectors = (rows_nd - learned_md.mean(axis=0)) / np.maximum(learned_md.std(axis=0), 1e-6)
    return scaled


def fit_logits(learned_md: Vectors, truth_m: BooleanArray, tested_nd: Vectors, strength: float) -> FigureArray:
    model = fit_regression(learned_md, truth_m, C=strength, class_weight="balanced", max_iter=500)
    return np.asarray(model.decision_function(tested_nd), dtype=np.float64)


def share_of_neighbours(train_md: Vectors, truth_m: BooleanArray, test_nd: Vectors, k: int) -> FigureArray | None:
    """(N,): the share of drawings among the `k` nearest pages to learn from; None where these are under half of 2 k."""
    if len(train_md) < 2 * k:
        return None
    nearest_nk = np.argpartition(-(unit(test_nd) @ unit(train_md).T), k - 1, axis=1)[:, :k]
    return np.asarray(truth_m[nearest_nk].mean(axis=1), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Ranking:
    """For each query: average precision, precision at 10, and whether the first is relevant; NaN without relevant."""

    ap_q: FigureArray
    precision_q: FigureArray
    first_q: FigureArray


def rank_pages(scores_qm: FigureArray, relevant_qm: BooleanArray, candidate_qm: BooleanArray) -> Ranking:
    """Rank the candidates of each query; others are left out, as the query itself and its file."""
    rows = [rank_query(*row) for row in zip(scores_qm, relevant_qm, candidate_qm, strict=True)]
    return Ranking(*np.asarray(rows, dtype=np.float64).reshape(-1, 3).T)


def rank_query(
    scores_m: FigureArray, relevant_m: BooleanArray, candidate_m: BooleanArray
) -> tuple[float, float, float]:
    """Return AP, P@10 and R@1. Of equal scores the irrelevant come first, so a constant model gains nothing."""
    relevant, scores = relevant_m[candidate_m], scores_m[candidate_m]
    if not relevant.any():
        return np.nan, np.nan, np.nan
    hits = relevant[np.lexsort((relevant, -scores))]
    precisions = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float(precisions[hits].mean()), float(hits[:PRECISION_DEPTH].mean()), float(hits[0])
