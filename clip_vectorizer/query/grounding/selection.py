"""From scores of all regions to the boxes of each phrase: threshold, suppression, the best few.

P phrases · N regions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from clip_vectorizer.boxes import BoxArray, Indexes, ScoreArray, suppress
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.choices import GROUND_NMS, GROUND_THRESHOLD, GROUND_TOP
from clip_vectorizer.query.grounding.groundings import Grounding, PhraseBox
from clip_vectorizer.query.grounding.phrases import Phrase

MOST_CANDIDATES = 1000  # that suppression compares with each other, as GLIP's PRE_NMS_TOP_N


@dataclass(frozen=True, slots=True)
class RegionScores:
    """All regions of a picture against all phrases."""

    boxes_n4: BoxArray
    similarities_pn: ScoreArray
    probabilities_pn: ScoreArray


@dataclass(frozen=True, slots=True)
class BoxSelection:
    """Which of the regions become boxes. Raises InputError for a value that cannot be used.

    >>> BoxSelection(threshold=50)
    Traceback (most recent call last):
        ...
    clip_vectorizer.errors.InputError: threshold 50: expected a probability, 0 to 1, such as 0.5
    """

    threshold: float = GROUND_THRESHOLD  # least probability
    nms: float = GROUND_NMS  # two boxes of a phrase that overlap by more are one; overlap as IoU
    top: int = GROUND_TOP  # most boxes of a phrase
    exclusive: bool = False  # a place goes to the phrase that fits best; other phrases do not get it

    def __post_init__(self) -> None:
        for name, value, meaning in (
            ("threshold", self.threshold, "a probability, 0 to 1, such as 0.5"),
            ("nms", self.nms, "an overlap (IoU), 0 to 1, such as 0.5"),
        ):
            if not is_number(value) or not 0 <= value <= 1:
                raise InputError(f"{name} {value}: expected {meaning}")
        if not isinstance(self.top, int) or isinstance(self.top, bool) or self.top < 1:
            raise InputError(f"top {self.top}: expected how many boxes a phrase gets at most, 1 or more")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def select_boxes(
    scores: RegionScores, phrases: Sequence[Phrase], selection: BoxSelection, size: tuple[int, int] | None
) -> tuple[Grounding, ...]:
    """Return a grounding for each phrase, in order. Raises VectorizerError for scores that are no numbers."""
    check_scores(scores, phrases)
    kept = choose_exclusively(scores, selection) if selection.exclusive else choose_separately(scores, selection)
    return tuple(
        Grounding(
            phrase,
            tuple(build_box(scores, row, int(index), size) for index in kept[row][: selection.top]),
            float(scores.probabilities_pn[row].max(initial=0)),
        )
        for row, phrase in enumerate(phrases)
    )


def check_scores(scores: RegionScores, phrases: Sequence[Phrase]) -> None:
    finite_pn = np.isfinite(scores.similarities_pn) & np.isfinite(scores.probabilities_pn)
    if not np.isfinite(scores.boxes_n4).all():
        raise VectorizerError("a region has a box that is no number (NaN); ingest the picture with --regions again")
    if not finite_pn.all():
        bad = phrases[int(np.flatnonzero(~finite_pn.all(axis=1))[0])].text
        raise VectorizerError(
            f"the score of {bad!r} is no number (NaN): the model failed for a region or for the phrase; "
            "check it with `clip-vectorizer doctor`, or write the phrase in another way"
        )


def choose_separately(scores: RegionScores, selection: BoxSelection) -> list[Indexes]:
    return [choose_row(scores.boxes_n4, row_n, selection) for row_n in scores.probabilities_pn]


def choose_row(boxes_n4: BoxArray, probabilities_n: ScoreArray, selection: BoxSelection) -> Indexes:
    likely = list_candidates(probabilities_n, selection)
    return likely[suppress(boxes_n4[likely], probabilities_n[likely], selection.nms)]


def list_candidates(probabilities: ScoreArray, selection: BoxSelection) -> Indexes:
    """The indexes of the most probable ones, best first, among all of them in one row."""
    best = np.argsort(-probabilities, kind="stable")[:MOST_CANDIDATES]
    return best[probabilities[best] >= selection.threshold].astype(np.int64)


def choose_exclusively(scores: RegionScores, selection: BoxSelection) -> list[Indexes]:
    """Greedily, from the most probable pair of phrase and region on: a later one must not overlap an earlier one.

    Suppression across phrases: an apple that is also a little like a tomato is no tomato.
    """
    pairs = list_candidates(scores.probabilities_pn.ravel(), selection)
    rows, columns = np.divmod(pairs, max(1, scores.probabilities_pn.shape[1]))
    kept = suppress(scores.boxes_n4[columns], scores.probabilities_pn[rows, columns], selection.nms)
    return [columns[kept[rows[kept] == row]] for row in range(len(scores.probabilities_pn))]


def build_box(scores: RegionScores, row: int, index: int, size: tuple[int, int] | None) -> PhraseBox:
    left, top, right, bottom = (min(1.0, max(0.0, float(share))) for share in scores.boxes_n4[index])
    pixels = None
    if size is not None:
        width, height = size
        pixels = (left * width, top * height, right * width, bottom * height)
    return PhraseBox(
        (left, top, right, bottom),
        pixels,
        float(scores.similarities_pn[row, index]),
        float(scores.probabilities_pn[row, index]),
    )
