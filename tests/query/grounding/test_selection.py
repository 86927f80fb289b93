"""From scores to boxes: properties of the selection, whatever the scores are."""

import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.boxes import overlaps
from clip_vectorizer.query.grounding.groundings import Grounding
from clip_vectorizer.query.grounding.phrases import Phrase
from clip_vectorizer.query.grounding.selection import BoxSelection, RegionScores, select_boxes

SEEDS = st.integers(0, 2**32 - 1)


def draw_scores(seed: int, phrases: int = 4, regions: int = 30) -> RegionScores:
    random = np.random.default_rng(seed)
    starts_n2, sides_n2 = random.uniform(0, 0.7, (regions, 2)), random.uniform(0.05, 0.3, (regions, 2))
    boxes_n4 = np.hstack([starts_n2, starts_n2 + sides_n2]).astype(np.float32)
    scores_pn = random.uniform(0, 1, (phrases, regions)).astype(np.float32)
    return RegionScores(boxes_n4, scores_pn, scores_pn)


def select(scores: RegionScores, selection: BoxSelection) -> tuple[Grounding, ...]:
    phrases = [Phrase(f"thing {row}") for row in range(len(scores.similarities_pn))]
    return select_boxes(scores, phrases, selection, None)


def overlap_most(boxes: list[tuple[float, ...]]) -> float:
    """The greatest overlap of two of the boxes."""
    boxes_n4 = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    return float(np.triu(overlaps(boxes_n4, boxes_n4), 1).max(initial=0))


@given(SEEDS, st.floats(0, 1), st.floats(0, 1), st.integers(1, 5), st.booleans())
def test_boxes_are_likely_apart_few_and_best_first(
    seed: int, threshold: float, nms: float, top: int, exclusive: bool
) -> None:
    found = select(draw_scores(seed), BoxSelection(threshold, nms, top, exclusive))
    for each in found:
        probabilities = [box.probability for box in each.boxes]
        assert probabilities == sorted(probabilities, reverse=True)
        assert len(each.boxes) <= top and all(value >= np.float32(threshold) for value in probabilities)
        assert overlap_most([box.box for box in each.boxes]) <= nms + 1e-6
        assert each.present == bool(each.boxes)


@given(SEEDS, st.floats(0, 0.9))
def test_exclusive_boxes_are_apart_across_phrases(seed: int, nms: float) -> None:
    found = select(draw_scores(seed), BoxSelection(0.3, nms, 100, exclusive=True))
    assert overlap_most([box.box for each in found for box in each.boxes]) <= nms + 1e-6


@given(SEEDS)
def test_a_single_phrase_gets_the_same_boxes_exclusive_or_not(seed: int) -> None:
    scores = draw_scores(seed, phrases=1)
    assert select(scores, BoxSelection(0.2, exclusive=True)) == select(scores, BoxSelection(0.2))


def test_the_probability_of_a_missing_phrase_is_its_best() -> None:
    scores = RegionScores(
        np.array([[0, 0, 1, 1]], dtype=np.float32), np.array([[0.1]], dtype=np.float32), np.array([[0.25]], np.float32)
    )
    [found] = select(scores, BoxSelection(0.5))
    assert (found.present, found.probability) == (False, 0.25)


def test_a_picture_without_regions_has_nothing_in_it() -> None:
    empty = np.empty((2, 0), dtype=np.float32)
    for exclusive in (False, True):
        found = select(RegionScores(np.empty((0, 4), np.float32), empty, empty), BoxSelection(exclusive=exclusive))
        assert [(each.present, each.probability) for each in found] == [(False, 0), (False, 0)]


def test_many_regions_and_phrases_take_seconds_at_most() -> None:
    scores, start = draw_scores(1, phrases=200, regions=2_000), time.perf_counter()
    assert select(scores, BoxSelection(0.1, exclusive=True))[0].phrase.text == "thing 0"
    assert time.perf_counter() - start < 5
