"""Labelled images beside the texts: what they gain on images that are not among them. N images · L classes"""

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
    """Images to be judged, and the shots, none of which is one of them."""

    judged: IntegerArray
    shots: IntegerArray  # ascending by class


@dataclass(frozen=True, slots=True)
class FewShotTask:
    """What a method needs to know: of all images the vectors, their classes, and what the texts alone say."""

    answer: ZeroShotResult
    logit_scale: float

    @property
    def vectors_nd(self) -> Vectors:
        return self.answer.question.vectors_nd

    @property
    def text_logits_nl(self) -> Vectors:
        return self.logit_scale * self.answer.similarities_nl


FewShotMethod = Callable[[FewShotTask, CrossValidationFold], Vectors]  # (judged, L) logits


def build_few_shot_table(answer: ZeroShotResult, logit_scale: float, progress: Progress, probe: bool) -> Table:
    """Every image is judged once, by shots of the other folds: a row for each method and number of shots.

    `gain`: over the texts alone on the same images, with its 95 % interval (paired bootstrap).
    """
    judge = FewShotTask(answer, logit_scale)
    texts_n = is_right_at(answer.ranks_n, 1)
    rows = [
        build_few_shot_row("texts alone", 0, answer.ranks_n, texts_n),
        build_few_shot_row(
            "means removed", 0, rank_true_classes(compare_without_means(judge), answer.question.truth_n), texts_n
        ),
    ]
    for shots in SHOTS:
        progress(f"few-shot with {shots} labelled images a class")
        rows.append(
            build_few_shot_row("few-shot cache", shots, cross_validate(judge, shots, classify_by_cache), texts_n)
        )
    if probe:
        progress("linear probe")
        rows.append(
            build_few_shot_row("linear probe", SHOTS[-1], cross_validate(judge, SHOTS[-1], classify_by_probe), texts_n)
        )
    return Table("few-shot", f"With labelled images ({FOLDS}-fold cross-validation), {describe_result(answer)}", rows)


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


def compare_without_means(judge: FewShotTask) -> Vectors:
    """(N, L) similarities once the mean image and the mean text are taken away; needs no labels."""
    images_nd, texts_ld = judge.vectors_nd, judge.answer.classes_ld
    moved_nd = boosts.remove_mean(images_nd, boosts.compute_mean([images_nd]))
    return moved_nd @ boosts.remove_mean(texts_ld, boosts.compute_mean([texts_ld])).T


def cross_validate(judge: FewShotTask, shots: int, method: FewShotMethod) -> IntegerArray:
    """(N,) places of the true class."""
    truth_n = judge.answer.question.truth_n
    ranks_n = np.zeros(len(truth_n), dtype=np.int64)
    for fold in split_folds(truth_n, shots):
        ranks_n[fold.judged] = rank_true_classes(method(judge, fold), truth_n[fold.judged])
    return ranks_n


def split_folds(truth_n: IntegerArray, shots: int) -> Iterator[CrossValidationFold]:
    """Each image is judged in one fold; its class gives at most `shots` of its images in the others, fewer if it must.

    The same for the same images: shuffled within each class from a fixed seed.
    """
    random = np.random.default_rng(SEED)
    shuffled = [random.permutation(np.flatnonzero(truth_n == each)) for each in range(truth_n.max() + 1)]
    for fold in range(FOLDS):
        judged = np.concatenate([images[fold::FOLDS] for images in shuffled])
        chosen = [np.delete(images, np.s_[fold::FOLDS])[:shots] for images in shuffled]
        if len(judged):
            yield CrossValidationFold(judged, np.concatenate(chosen))


def classify_by_cache(judge: FewShotTask, fold: CrossValidationFold) -> Vectors:
    names = [str(number) for number in range(len(judge.vectors_nd))]
    cache = few_shot.tune_cache(
        judge.vectors_nd[fold.shots],
        judge.answer.question.truth_n[fold.shots],
        [names[shot] for shot in fold.shots],
        judge.text_logits_nl[fold.shots],
    )
    judged = fold.judged
    return cache.logits(judge.vectors_nd[judged], [names[each] for each in judged], judge.text_logits_nl[judged])


def classify_by_probe(judge: FewShotTask, fold: CrossValidationFold) -> Vectors:
    probe = LinearProbe.fit(
        judge.vectors_nd[fold.shots], judge.answer.question.truth_n[fold.shots], judge.answer.classes_ld
    )
    return probe.logits(judge.vectors_nd[fold.judged])
