"""Measures of grounding, on boxes that can be worked out by hand, and average precision as pycocotools has it."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from clip_vectorizer.query.evaluation.grounding import (
    PhraseResult,
    ProposalResult,
    bootstrap_precision,
    covers_truth,
    has_alarm,
    has_answer,
    match_boxes,
    points_inside,
    rank_first_hits,
)

# Of pycocotools 2.0.11 (COCOeval, bbox, all areas, 100 detections) on the boxes of `make_results`, with an image for
# each result and one category: precision at each overlap from .5 to .95, the mean over its 101 steps of recall.
COCO = (
    0.3696049980,
    0.3580461559,
    0.3433357736,
    0.3052946161,
    0.2581893160,
    0.2117890773,
    0.1359565986,
    0.0250354917,
    0.0086264892,
    0.0000000000,
)

BOX, FAR = (0.0, 0.0, 10.0, 10.0), (50.0, 50.0, 60.0, 60.0)


def make_results(pictures: int = 60) -> list[PhraseResult]:
    """Random true boxes, boxes near them and boxes anywhere; many scores are equal."""
    rng = random.Random(5)
    results = []
    for picture in range(pictures):
        truth = [draw_box(rng) for _ in range(rng.randrange(4))]
        near = [move_box(box, rng) for box in truth for _ in range(rng.randrange(4))]
        boxes = near + [draw_box(rng) for _ in range(rng.randrange(4))]
        results.append(make_result(boxes, [round(rng.random(), 1) for _ in boxes], truth, picture))
    return results


def draw_box(rng: random.Random) -> tuple[float, ...]:
    x, y, wide, high = rng.uniform(0, 60), rng.uniform(0, 60), rng.uniform(8, 40), rng.uniform(8, 40)
    return x, y, x + wide, y + high


def move_box(box: Sequence[float], rng: random.Random) -> tuple[float, ...]:
    return tuple(side + rng.gauss(0, 2) for side in box)


def make_result(
    boxes: Sequence[Sequence[float]], scores: Sequence[float], truth: Sequence[Sequence[float]], picture: int = 0
) -> PhraseResult:
    return PhraseResult(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(scores, dtype=np.float32),
        np.array(truth, dtype=np.float32).reshape(-1, 4),
        picture,
    )


def test_average_precision_is_that_of_coco() -> None:
    np.testing.assert_allclose(match_boxes(make_results()).measure_precision(), COCO, atol=1e-9)


def test_each_true_box_is_found_once() -> None:
    twice = match_boxes([make_result([BOX, BOX], [0.9, 0.8], [BOX])])
    assert twice.right_tn[0].tolist() == [True, False]
    assert twice.measure_precision()[0] == 1.0


def test_a_box_for_an_absent_phrase_costs_precision() -> None:
    right, wrong = make_result([BOX], [0.5], [BOX], 0), make_result([BOX], [0.9], [], 1)
    assert match_boxes([right, wrong]).measure_precision()[0] == pytest.approx(0.5)


def test_nothing_found_and_nothing_to_find_have_no_precision() -> None:
    assert match_boxes([make_result([], [], [BOX])]).measure_precision().tolist() == [0.0] * 10
    assert match_boxes([make_result([BOX], [0.5], [])]).measure_precision().tolist() == [0.0] * 10


def test_the_rank_of_a_phrase_is_that_of_its_first_right_box() -> None:
    results = [
        make_result([FAR, BOX], [0.9, 0.8], [BOX]),
        make_result([FAR], [1.0], [BOX]),
        make_result([FAR], [1], []),
    ]
    ranks = rank_first_hits(results)
    assert ranks[0] == 2 and ranks[1] > 1000 and len(ranks) == 2


def test_any_of_several_true_boxes_counts() -> None:
    assert rank_first_hits([make_result([FAR], [0.9], [BOX, FAR])]).tolist() == [1]


def test_pointing_needs_the_centre_only() -> None:
    wide, beside = (-20.0, 0.0, 30.0, 10.0), (12.0, 0.0, 20.0, 10.0)
    results = [make_result([wide], [1], [BOX]), make_result([beside], [1], [BOX]), make_result([], [], [BOX])]
    assert points_inside(results).tolist() == [True, False, False]


def test_alarms_are_counted_on_absent_phrases_and_answers_on_present_ones() -> None:
    results = [make_result([BOX], [0.4], []), make_result([BOX], [0.6], []), make_result([BOX], [0.7], [BOX])]
    assert has_alarm(results, 0.5).tolist() == [False, True]
    assert has_answer(results, 0.5).tolist() == [True]


def test_recall_of_regions_counts_true_boxes_among_the_best_ones() -> None:
    result = ProposalResult(np.array([FAR, BOX], np.float32), np.array([BOX], np.float32))
    assert not covers_truth([result], 1).any() and covers_truth([result], 2).all()


def test_the_interval_is_over_pictures_and_repeatable() -> None:
    matched = match_boxes(make_results()).at(0)
    interval = bootstrap_precision(matched, resamples=200)
    assert interval.low < interval.value < interval.high
    assert interval == bootstrap_precision(matched, resamples=200)
    assert interval.value == pytest.approx(COCO[0])
