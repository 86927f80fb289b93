"""Gain of labelled images over texts alone, cross-validated.

N images · L classes
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.query.adapt import boosts, few_shot
from clip_vectorizer.query.adapt.linear_probe import LinearProbe
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.statistics import (
    SEED,
    BooleanArray,
    IntegerArray,
    Share,
    is_right_at,
    paired_bootstrap,
    rank_true_classes,
)
from clip_vectorizer.query.evaluation.tables import CellValue, Table
from clip_vectorizer.query.evaluation.zero_shot import ZeroShotResult, describe_result
from clip_vectorizer.vectors import Vectors

FOLDS = 5
SHOTS = (1, 4, 16)


@dataclass(frozen=True, slots=True)
class CrossValidationFold:
    """Images to classify, and labelled images (shots) that are not among them."""

    classified: IntegerArray
    shots: IntegerArray  # ascending by class


@dataclass(frozen=True, slots=True)
class FewShotData:
    """Input of a method: vectors and classes of all images, and the logits of the texts alone."""

    result: ZeroShotResult
    logit_scale: float

    @property
    def vectors_nd(self) -> Vectors:
        return self.result.task.vectors_nd

    @property
    def text_logits_nl(self) -> Vectors:
        return self.logit_scale * self.result.similarities_nl


FewShotMethod = Callable[[FewShotData, CrossValidationFold], Vectors]  # (classified, L) logits


def build_few_shot_table(result: ZeroShotResult, logit_scale: float, progress: Progress, probe: bool) -> Table:
    """Classify every image once, by shots of the other folds; one row per method and number of shots.

    `gain`: top-1 minus that of the texts alone on the same images, with its 95 % interval (paired bootstrap).
    """
    data = FewShotData(result, logit_scale)
    texts_n = is_right_at(result.ranks_n, 1)
    rows = [
        build_few_shot_row("texts alone", 0, result.ranks_n, texts_n),
        build_few_shot_row(
            "means removed", 0, rank_true_classes(compare_without_means(data), result.task.truth_n), texts_n
        ),
    ]
    for shots in SHOTS:
        progress(f"few-shot with {shots} labelled images a class")
        rows.append(
            build_few_shot_row("few-shot cache", shots, cross_validate(data, shots, classify_by_cache), texts_n)
        )
    if probe:
        progress("linear probe")
        rows.append(
            build_few_shot_row("linear probe", SHOTS[-1], cross_validate(data, SHOTS[-1], classify_by_probe), texts_n)
        )
    return Table("few-shot", f"With labelled images ({FOLDS}-fold cross-validation), {describe_result(result)}", rows)


def build_few_shot_row(method: str, shots: int, ranks_n: IntegerArray, texts_n: BooleanArray) -> dict[str, CellValue]:
    gain = paired_bootstrap(is_right_at(ranks_n, 1), texts_n)
    return {
        "method": method,
        "shots": shots,
        "images": len(ranks_n),
        "top_1": Share.of(is_right_at(ranks_n, 1)),
        "top_5": Share.of(is_right_at(ranks_n, 5)),
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
    }


def compare_without_means(data: FewShotData) -> Vectors:
    """Return (N, L) similarities with the mean image and the mean text subtracted; needs no labels."""
    images_nd, texts_ld = data.vectors_nd, data.result.classes_ld
    moved_nd = boosts.remove_mean(images_nd, boosts.compute_mean([images_nd]))
    return moved_nd @ boosts.remove_mean(texts_ld, boosts.compute_mean([texts_ld])).T


def cross_validate(data: FewShotData, shots: int, method: FewShotMethod) -> IntegerArray:
    """Return (N,) ranks of the true class."""
    truth_n = data.result.task.truth_n
    ranks_n = np.zeros(len(truth_n), dtype=np.int64)
    for fold in split_folds(truth_n, shots):
        ranks_n[fold.classified] = rank_true_classes(method(data, fold), truth_n[fold.classified])
    return ranks_n


def split_folds(truth_n: IntegerArray, shots: int) -> Iterator[CrossValidationFold]:
    """Yield folds: each image is classified in exactly one, by at most `shots` images per class from the others.

    Deterministic: shuffled within each class with a fixed seed.
    """
    random = np.random.default_rng(SEED)
    shuffled = [random.permutation(np.flatnonzero(truth_n == each)) for each in range(truth_n.max() + 1)]
    for fold in range(FOLDS):
        classified = np.concatenate([images[fold::FOLDS] for images in shuffled])
        chosen = [np.delete(images, np.s_[fold::FOLDS])[:shots] for images in shuffled]
        if len(classified):
            yield CrossValidationFold(classified, np.concatenate(chosen))


def classify_by_cache(data: FewShotData, fold: CrossValidationFold) -> Vectors:
    names = [str(number) for number in range(len(data.vectors_nd))]
    cache = few_shot.tune_cache(
        data.vectors_nd[fold.shots],
        data.result.task.truth_n[fold.shots],
        [names[shot] for shot in fold.shots],
        data.text_logits_nl[fold.shots],
    )
    classified = fold.classified
    return cache.logits(
        data.vectors_nd[classified], [names[each] for each in classified], data.text_logits_nl[classified]
    )


def classify_by_probe(data: FewShotData, fold: CrossValidationFold) -> Vectors:
    probe = LinearProbe.fit(data.vectors_nd[fold.shots], data.result.task.truth_n[fold.shots], data.result.classes_ld)
    return probe.logits(data.vectors_nd[fold.classified])
