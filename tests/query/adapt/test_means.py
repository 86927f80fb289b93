"""Per-modality mean removal."""

import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt import boosts
from clip_vectorizer.query.adapt.boosts import compute_mean, remove_mean
from tests.query.adapt.test_few_shot import directions


def test_the_mean_is_over_all_parts() -> None:
    rows = directions(0, 7)
    np.testing.assert_allclose(compute_mean([rows[:3], rows[3:]]), rows.mean(axis=0), atol=1e-6)


def test_the_result_is_unit_and_centred() -> None:
    rows = directions(1, 50) + 1  # a narrow cone
    left = remove_mean(rows, compute_mean([rows]))
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), 1, atol=1e-5)
    assert np.linalg.norm(left.mean(axis=0)) < 0.2


def test_a_vector_that_equals_the_mean_becomes_zero() -> None:
    row = directions(2, 1)
    assert not remove_mean(row, row[0]).any()


def test_a_direction_that_all_texts_share_is_removed() -> None:
    shared = np.array([0, 0, 5], dtype=np.float32)
    texts = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32) + shared
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    left = remove_mean(texts, compute_mean([texts]))
    assert texts[0] @ texts[1] > 0.9 and left[0] @ left[1] < -0.9


def test_reading_ends_when_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosts, "MAX_MEAN_VECTORS", 10)
    read: list[int] = []
    compute_mean(read.append(part) or directions(part, 5) for part in range(100))  # type: ignore[func-returns-value]
    assert read == [0, 1]


def test_the_mean_of_one_image_raises() -> None:
    with pytest.raises(InputError, match="at least two stored images; there are 1"):
        compute_mean([directions(0, 1)])
