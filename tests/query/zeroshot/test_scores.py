import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.query.zeroshot.scores import (
    OTHER,
    Classification,
    DecisionRule,
    ImageBatch,
    compute_logit,
    find_close_rows,
    sigmoid,
    softmax,
)
from clip_vectorizer.vectors import Vectors, unit

COSINES = st.lists(st.floats(-1, 1), min_size=2, max_size=50)
SEEDS = st.integers(0, 2**32 - 1)


@given(COSINES, st.floats(0.1, 1000))
def test_softmax_adds_up_to_one_and_keeps_the_order(cosines: list[float], scale: float) -> None:
    shares = softmax(scale * np.array(sorted(cosines, reverse=True))).tolist()
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)


def test_softmax_of_many_labels_and_a_large_scale_does_not_overflow() -> None:
    shares = softmax(np.full((3, 10_000), 1e30, dtype=np.float32))
    np.testing.assert_allclose(shares, 1e-4)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1))
def test_sigmoid_keeps_the_order_and_is_a_probability(logits: list[float]) -> None:
    found = sigmoid(np.array(sorted(logits))).tolist()
    assert found == sorted(found) and found[0] >= 0 and found[-1] <= 1
    np.testing.assert_allclose(sigmoid(-np.array(logits)), 1 - sigmoid(np.array(logits)), atol=1e-12)


@given(st.floats(-30, 30))
def test_the_logit_is_the_sigmoids_inverse(logit: float) -> None:
    assert compute_logit(float(sigmoid(np.array(logit)))) == pytest.approx(logit, abs=1e-2)


@given(SEEDS, st.floats(-20, 20), st.none() | st.floats(0, 1))
def test_a_bias_changes_scores_but_no_label_except_other(seed: int, bias: float, threshold: float | None) -> None:
    images_nd, labels_ld = near_labels(seed)
    names, batch = [str(index) for index in range(len(labels_ld))], ImageBatch([""] * 8, list("abcdefgh"), images_nd)
    logits_nl = np.float32(10) * (images_nd @ labels_ld.T)

    def classify(rule: DecisionRule) -> list[Classification]:
        return rule.classify(batch, logits_nl, lambda rows: images_nd[list(rows)])

    shares = classify(DecisionRule(names, labels_ld, 10.0))
    alone = classify(DecisionRule(names, labels_ld, 10.0, threshold, logit_bias=bias))
    for share, each in zip(shares, alone, strict=True):
        expected = float(sigmoid(np.array(10.0 * share.similarity + bias)))
        assert each.similarity == pytest.approx(expected, abs=1e-6)
        assert each.label in (share.label, OTHER) and each.margin >= 0
        if threshold is None or expected > threshold + 1e-5:
            assert (each.label, each.score) == (share.label, pytest.approx(expected, abs=1e-6))
        elif expected < threshold - 1e-5:
            assert (each.label, each.score) == (OTHER, pytest.approx(threshold, abs=1e-9))


def near_labels(seed: int) -> tuple[Vectors, Vectors]:
    """Eight images (N, D), and labels (L, D) many of which are equal or differ in their last bits."""
    rng = np.random.default_rng(seed)
    labels_ld = unit(rng.standard_normal((6, 32)).astype(np.float32))
    jitter = unit(labels_ld + rng.standard_normal((6, 32)).astype(np.float32) * 1e-7)
    images_nd = unit(rng.standard_normal((8, 32)).astype(np.float32))
    return images_nd, np.concatenate([labels_ld, jitter, labels_ld, jitter])


@given(SEEDS)
def test_rounding_does_not_change_the_label(seed: int) -> None:
    images_nd, labels_ld = near_labels(seed)
    rule = DecisionRule([str(index) for index in range(len(labels_ld))], labels_ld, 100.0)
    batch = ImageBatch([""] * 8, [str(index) for index in range(8)], images_nd)
    exact = (images_nd.astype(np.float64)[:, None] * labels_ld.astype(np.float64)[None]).sum(axis=2)
    noise = np.random.default_rng(seed).uniform(-2e-6, 2e-6, exact.shape)
    for cosines in (exact, exact + noise, exact - noise):
        results = rule.classify(batch, (100 * cosines).astype(np.float32), lambda rows: images_nd[list(rows)])
        assert [int(each.label) for each in results] == exact.argmax(axis=1).tolist()
        order = np.argsort(-exact, axis=1, kind="stable")
        assert [int(each.runner_up) for each in results] == order[:, 1].tolist()
        assert all(each.margin >= 0 for each in results)


def test_close_rows_are_those_that_rounding_could_change() -> None:
    logits = np.array([[3.0, 2.0, 1.0], [3.0, 3.0, 1.0], [3.0, 1.0, 1.0], [1.0, 1.0, 3.0]])
    assert find_close_rows(logits, 1e-3).tolist() == [1, 2, 3]
    assert find_close_rows(np.array([[1.0, 2.0], [1.0, 1.0]]), 1e-3).tolist() == [1]
