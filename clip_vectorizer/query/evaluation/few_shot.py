"""Labelled images beside the texts: what they gain on images that are not among them. N images · L classes"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from clip_vectorizer.query.adapting import few_shot, means
from clip_vectorizer.query.adapting.probe import LinearProbe
from clip_vectorizer.query.evaluation.data import Progress
from clip_vectorizer.query.evaluation.intervals import SEED, Share, paired_bootstrap
from clip_vectorizer.query.evaluation.metrics import Numbers, Truths, ranks_of, right_at
from clip_vectorizer.query.evaluation.tables import Table, Value
from clip_vectorizer.query.evaluation.zero_shot import Answer, described
from clip_vectorizer.vectors import Vectors

FOLDS = 5
SHOTS = (1, 4, 16)


@dataclass(frozen=True, slots=True)
class Fold:
    """Images to be judged, and the shots, none of which is one of them."""

    judged: Numbers
    shots: Numbers  # ascending by class


@dataclass(frozen=True, slots=True)
class Judge:
    """What a method needs to know: of all images the vectors, their classes, and what the texts alone say."""

    answer: Answer
    logit_scale: float

    @property
    def vectors_nd(self) -> Vectors:
        return self.answer.question.vectors_nd

    @property
    def text_logits_nl(self) -> Vectors:
        return self.logit_scale * self.answer.similarities_nl


Method = Callable[[Judge, Fold], Vectors]  # (judged, L) logits


def few_shot_table(answer: Answer, logit_scale: float, progress: Progress, probe: bool) -> Table:
    """Every image is judged once, by shots of the other folds: a row for each method and number of shots.

    `gain`: over the texts alone on the same images, with its 95 % interval (paired bootstrap).
    """
    judge = Judge(answer, logit_scale)
    texts_n = right_at(answer.ranks_n, 1)
    rows = [
        row_of("texts alone", 0, answer.ranks_n, texts_n),
        row_of("means removed", 0, ranks_of(without_means(judge), answer.question.truth_n), texts_n),
    ]
    for shots in SHOTS:
        progress(f"few-shot with {shots} labelled images a class")
        rows.append(row_of("few-shot cache", shots, cross_validated(judge, shots, by_cache), texts_n))
    if probe:
        progress("linear probe")
        rows.append(row_of("linear probe", SHOTS[-1], cross_validated(judge, SHOTS[-1], by_probe), texts_n))
    return Table("few-shot", f"With labelled images ({FOLDS}-fold cross-validation), {described(answer)}", rows)


def row_of(method: str, shots: int, ranks_n: Numbers, texts_n: Truths) -> dict[str, Value]:
    gain = paired_bootstrap(right_at(ranks_n, 1), texts_n)
    return {
        "method": method,
        "shots": shots,
        "images": len(ranks_n),
        "top_1": Share.of(right_at(ranks_n, 1)),
        "top_5": Share.of(right_at(ranks_n, 5)),
        "gain": gain.mean,
        "gain_low": gain.low,
        "gain_high": gain.high,
    }


def without_means(judge: Judge) -> Vectors:
    """(N, L) similarities once the mean image and the mean text are taken away; needs no labels."""
    images_nd, texts_ld = judge.vectors_nd, judge.answer.classes_ld
    moved_nd = means.remove(images_nd, means.mean_of([images_nd]))
    return moved_nd @ means.remove(texts_ld, means.mean_of([texts_ld])).T


def cross_validated(judge: Judge, shots: int, method: Method) -> Numbers:
    """(N,) places of the true class."""
    truth_n = judge.answer.question.truth_n
    ranks_n = np.zeros(len(truth_n), dtype=np.int64)
    for fold in folds(truth_n, shots):
        ranks_n[fold.judged] = ranks_of(method(judge, fold), truth_n[fold.judged])
    return ranks_n


def folds(truth_n: Numbers, shots: int) -> Iterator[Fold]:
    """Each image is judged in one fold; its class gives at most `shots` of its images in the others, fewer if it must.

    The same for the same images: shuffled within each class from a fixed seed.
    """
    random = np.random.default_rng(SEED)
    shuffled = [random.permutation(np.flatnonzero(truth_n == each)) for each in range(truth_n.max() + 1)]
    for fold in range(FOLDS):
        judged = np.concatenate([images[fold::FOLDS] for images in shuffled])
        chosen = [np.delete(images, np.s_[fold::FOLDS])[:shots] for images in shuffled]
        if len(judged):
            yield Fold(judged, np.concatenate(chosen))


def by_cache(judge: Judge, fold: Fold) -> Vectors:
    names = [str(number) for number in range(len(judge.vectors_nd))]
    cache = few_shot.chosen(
        judge.vectors_nd[fold.shots],
        judge.answer.question.truth_n[fold.shots],
        [names[shot] for shot in fold.shots],
        judge.text_logits_nl[fold.shots],
    )
    judged = fold.judged
    return cache.logits(judge.vectors_nd[judged], [names[each] for each in judged], judge.text_logits_nl[judged])


def by_probe(judge: Judge, fold: Fold) -> Vectors:
    probe = LinearProbe.fit(
        judge.vectors_nd[fold.shots], judge.answer.question.truth_n[fold.shots], judge.answer.classes_ld
    )
    return probe.logits(judge.vectors_nd[fold.judged])
