"""The threshold of "other", chosen on a validation set."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.threshold import Threshold, auroc

KNOWN = np.array([True, True, False, False])


def test_between_groups_that_do_not_overlap_it_is_in_the_middle() -> None:
    threshold = Threshold.choose(np.array([0.8, 0.6, 0.2, 0.1]), KNOWN)
    assert threshold.value == pytest.approx(0.4)
    assert (threshold.balanced_accuracy, threshold.known_kept, threshold.others_found) == (1, 1, 1)
    assert "balanced accuracy 1.000 on 4 images" in str(threshold)


def test_both_kinds_have_the_same_weight() -> None:
    scores = np.array([0.5] * 99 + [0.4])
    threshold = Threshold.choose(scores, np.arange(100) < 99)
    assert threshold.balanced_accuracy == 1


@pytest.mark.parametrize(
    ("scores", "shown"), [([0.3, 0.1], "0.200"), ([4e-4, 2e-5], "0.00021"), ([-0.2, -0.4], "-0.300")]
)
def test_a_low_one_is_shown_with_digits(scores: list[float], shown: str) -> None:
    assert f"threshold {shown}: " in str(Threshold.choose(np.array(scores), np.array([True, False])))


@pytest.mark.parametrize("known", [[True] * 3, [False] * 3])
def test_both_kinds_are_needed(known: list[bool]) -> None:
    with pytest.raises(InputError, match="images of the labels and others"):
        Threshold.choose(np.array([0.1, 0.2, 0.3]), np.array(known))


@given(scores=st.lists(st.integers(-5, 5), min_size=2, max_size=12), flags=st.integers(1))
def test_no_other_threshold_is_better(scores: list[int], flags: int) -> None:
    known = np.array([bool(flags >> place & 1) for place in range(len(scores))])
    known[0], known[-1] = True, False
    values = np.array(scores, dtype=np.float64)
    chosen = Threshold.choose(values, known)
    tried = [((values[known] >= cut).mean() + (values[~known] < cut).mean()) / 2 for cut in np.arange(-6, 7) - 0.5]
    assert chosen.balanced_accuracy == pytest.approx(max(tried))
    assert chosen.balanced_accuracy >= 0.5
    kept, found = (values[known] >= chosen.value).mean(), (values[~known] < chosen.value).mean()
    assert (chosen.known_kept, chosen.others_found) == (pytest.approx(kept), pytest.approx(found))


def test_auroc_counts_pairs_in_order_and_ties_half() -> None:
    assert auroc(np.array([3.0, 2.0, 2.0, 1.0]), KNOWN) == pytest.approx(3.5 / 4)
