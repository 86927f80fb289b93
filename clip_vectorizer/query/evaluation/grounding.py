"""Measures of phrase grounding and of proposed regions. numpy only.

Boxes are x0, y0, x1, y1 in one unit, whichever it is. Overlap is intersection over union.

N found boxes, best first · M true boxes · K shown · T thresholds of overlap
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from clip_vectorizer.boxes import BoxArray, ScoreArray, overlaps
from clip_vectorizer.query.evaluation.statistics import SEED, BooleanArray, IntegerArray

RIGHT_OVERLAP = 0.5  # of the PASCAL challenge, of phrase grounding, and of AP50
OVERLAP_STEPS = np.linspace(0.5, 0.95, 10)  # of COCO's AP
RECALL_STEPS = np.linspace(0.0, 1.0, 101)  # of COCO's interpolated precision
RESAMPLES = 1000  # fewer than elsewhere: each sorts out all boxes
MOST_BOXES = 100  # of a picture and phrase that COCO counts
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PhraseResult:
    """What was found for one phrase in one picture. `truth_m4` is empty where the picture does not show it."""

    boxes_n4: BoxArray  # best first
    scores_n: ScoreArray
    truth_m4: BoxArray
    picture: int  # its number: phrases of one picture are no independent samples
    ground: str = ""  # kind of ground, to group by
    size: float = 0.0  # longer side of the largest true box in pixels, to group by

    @property
    def is_present(self) -> bool:
        return len(self.truth_m4) > 0


def rank_first_hits(results: Sequence[PhraseResult]) -> IntegerArray:
    """Return the rank, from 1, of the first box that overlaps any true one by half, of each phrase that is present.

    That is the ANY-BOX protocol of Flickr30k Entities, as MDETR and GLIP report it. Without a hit: a rank past all.
    """
    ranks = []
    for each in filter_present(results):
        right_n = (overlaps(each.boxes_n4, each.truth_m4) >= RIGHT_OVERLAP).any(axis=1)
        ranks.append(int(right_n.argmax()) + 1 if right_n.any() else np.iinfo(np.int64).max)
    return np.array(ranks, dtype=np.int64)


def filter_present(results: Sequence[PhraseResult]) -> list[PhraseResult]:
    return [each for each in results if each.is_present]


def points_inside(results: Sequence[PhraseResult]) -> BooleanArray:
    """Return, for each phrase that is present, whether the centre of the best box is in a true one (pointing game)."""
    return np.array([is_centre_inside(each) for each in filter_present(results)], dtype=bool)


def is_centre_inside(result: PhraseResult) -> bool:
    if not len(result.boxes_n4):
        return False
    x, y = (result.boxes_n4[0, :2] + result.boxes_n4[0, 2:]) / 2
    x0, y0, x1, y1 = result.truth_m4.T
    return bool(((x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)).any())


def has_alarm(results: Sequence[PhraseResult], threshold: float) -> BooleanArray:
    """Return, for each phrase that is absent, whether any box has at least the score `threshold`."""
    return np.array([(each.scores_n >= threshold).any() for each in results if not each.is_present], dtype=bool)


def has_answer(results: Sequence[PhraseResult], threshold: float) -> BooleanArray:
    """Return, for each phrase that is present, whether any box has at least the score `threshold`."""
    return np.array([(each.scores_n >= threshold).any() for each in filter_present(results)], dtype=bool)


@dataclass(frozen=True, slots=True)
class ProposalResult:
    """Regions of one picture without any phrase, best first, and all true boxes."""

    boxes_n4: BoxArray
    truth_m4: BoxArray


def covers_truth(results: Sequence[ProposalResult], count: int) -> BooleanArray:
    """Return, for each true box, whether one of the `count` best regions overlaps it by half."""
    found = [
        (overlaps(each.boxes_n4[:count], each.truth_m4) >= RIGHT_OVERLAP).any(axis=0)
        for each in results
        if len(each.truth_m4)
    ]
    return np.concatenate(found) if found else np.zeros(0, dtype=bool)


@dataclass(frozen=True, slots=True)
class MatchedBoxes:
    """All found boxes of all pictures, best first, and which are right at each threshold of overlap."""

    right_tn: BooleanArray
    pictures_n: IntegerArray
    truths_p: IntegerArray  # true boxes of each picture

    def measure_precision(self, weights_p: FloatArray | None = None) -> FloatArray:
        """Return (T,) average precisions, pooled over all phrases; `weights_p`: how often each picture counts."""
        weights = np.ones(len(self.truths_p)) if weights_p is None else weights_p
        weights_n, total = weights[self.pictures_n], float(weights @ self.truths_p)
        return np.array([interpolate_precision(right_n, weights_n, total) for right_n in self.right_tn])

    def at(self, threshold: int) -> "MatchedBoxes":
        """Return the same with one threshold of overlap."""
        return MatchedBoxes(self.right_tn[threshold : threshold + 1], self.pictures_n, self.truths_p)


def match_boxes(results: Sequence[PhraseResult], thresholds: FloatArray = OVERLAP_STEPS) -> MatchedBoxes:
    """Match found and true boxes as COCO does, with each picture and phrase as an image of its own.

    The best box first takes the true box that it overlaps most among those that are not yet taken.
    """
    pictures = max((each.picture for each in results), default=-1) + 1
    truths_p = np.zeros(pictures, dtype=np.int64)
    for each in results:
        truths_p[each.picture] += len(each.truth_m4)
    cut = [cut_to_most(each) for each in results]
    order_n = np.argsort(-np.concatenate([each.scores_n for each in cut]), kind="mergesort")
    right_tn = np.concatenate([match_phrase(each, thresholds) for each in cut], axis=1)
    pictures_n = np.repeat([each.picture for each in cut], [len(each.scores_n) for each in cut])
    return MatchedBoxes(right_tn[:, order_n], pictures_n[order_n], truths_p)


def cut_to_most(result: PhraseResult) -> PhraseResult:
    """Return the best boxes in the order of their scores."""
    order = np.argsort(-result.scores_n, kind="mergesort")[:MOST_BOXES]
    return PhraseResult(result.boxes_n4[order], result.scores_n[order], result.truth_m4, result.picture)


def match_phrase(result: PhraseResult, thresholds: FloatArray) -> BooleanArray:
    """Return (T, N): whether each box is right."""
    right_tn = np.zeros((len(thresholds), len(result.boxes_n4)), dtype=bool)
    if not result.is_present:
        return right_tn
    overlaps_nm = overlaps(result.boxes_n4, result.truth_m4)
    for row, threshold in enumerate(thresholds):
        free_m = np.ones(len(result.truth_m4), dtype=bool)
        for box, overlaps_m in enumerate(overlaps_nm):
            best = int(np.where(free_m, overlaps_m, -1.0).argmax())
            if free_m[best] and overlaps_m[best] >= threshold:
                right_tn[row, box], free_m[best] = True, False
    return right_tn


def interpolate_precision(right_n: BooleanArray, weights_n: FloatArray, total: float) -> float:
    """Return the mean of COCO's 101 interpolated precisions; `right_n` is best first, `total` the true boxes."""
    if not total:
        return 0.0
    hits_n, seen_n = np.cumsum(right_n * weights_n), np.cumsum(weights_n)
    precision_n = hits_n / np.maximum(seen_n, np.finfo(np.float64).eps)
    best_n = np.maximum.accumulate(precision_n[::-1])[::-1]  # the best precision at this recall or a higher one
    places = np.searchsorted(hits_n / total, RECALL_STEPS, side="left")
    return float(np.where(places < len(best_n), np.append(best_n, 0.0)[places], 0.0).mean())


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval over pictures (percentile bootstrap, Efron and Tibshirani 1993, chapter 13)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def bootstrap_precision(matched: MatchedBoxes, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Return the mean of the average precisions, with an interval over pictures drawn with replacement."""
    random, pictures = np.random.default_rng(seed), len(matched.truths_p)
    drawn = random.multinomial(pictures, np.full(pictures, 1 / pictures), size=resamples).astype(np.float64)
    low, high = np.quantile([matched.measure_precision(weights_p).mean() for weights_p in drawn], (0.025, 0.975))
    return Interval(float(matched.measure_precision().mean()), float(low), float(high))
