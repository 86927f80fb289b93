"""Suppression against its definition: a box stays unless a better one that stays overlaps it by more than the most."""

import numpy as np
import pytest

from clip_vectorizer.boxes import BoxArray, ScoreArray, overlaps, suppress


def suppress_pair_by_pair(boxes_n4: BoxArray, scores_n: ScoreArray, most: float) -> list[int]:
    kept: list[int] = []
    for index in np.argsort(-scores_n, kind="stable").tolist():
        if all(overlaps(boxes_n4[[index]], boxes_n4[[better]]) <= most for better in kept):
            kept.append(index)
    return kept


@pytest.mark.parametrize("most", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("count", [0, 1, 40])
def test_suppression_keeps_what_its_definition_keeps(count: int, most: float) -> None:
    rng = np.random.default_rng(count)
    corners_n2 = rng.random((count, 2))
    boxes_n4 = np.concatenate([corners_n2, corners_n2 + rng.random((count, 2)) / 2], axis=1).astype(np.float32)
    scores_n = rng.integers(0, 9, count).astype(np.float32)  # with equal ones
    expected = suppress_pair_by_pair(boxes_n4, scores_n, most)
    assert suppress(boxes_n4, scores_n, most).tolist() == expected
    assert suppress(boxes_n4, scores_n, most, limit=3).tolist() == expected[:3]
