"""Intervals, against published values, scipy, a slower method, and invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from clip_vectorizer.query.evaluation.statistics import (
    Share,
    bootstrap_spread,
    paired_bootstrap,
    resample_means,
    wilson_interval,
)


def test_wilson_intervals_equal_published_ones() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    printed = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (hits, total), interval in printed.items():
        assert wilson_interval(hits, total) == pytest.approx(interval, abs=5e-5)


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_intervals_equal_those_of_scipy(hits: int, misses: int) -> None:
    total = max(1, hits + misses)
    interval = binomtest(hits, total).proportion_ci(method="wilson")
    assert wilson_interval(hits, total) == pytest.approx((interval.low, interval.high), abs=1e-12)


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_share_and_stays_a_share(hits: int, more: int) -> None:
    share = Share(hits, hits + more)
    low, high = share.interval
    assert 0 <= low <= share.value <= high <= 1


def test_the_interval_of_no_images_is_0_to_1() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_equal_models_do_not_differ() -> None:
    right = np.array([True, False, True])
    difference = paired_bootstrap(right, right)
    assert (difference.mean, difference.low, difference.high, difference.p) == (0, 0, 0, 1)
    assert not difference.significant


def test_a_large_difference_is_significant() -> None:
    random = np.random.default_rng(1)
    difference = paired_bootstrap(random.random(300) < 0.8, random.random(300) < 0.5)
    assert difference.significant
    assert difference.p < 0.01
    assert difference.low < difference.mean < difference.high


def test_chance_alone_is_significant_about_one_time_in_twenty() -> None:
    random = np.random.default_rng(2)
    shown = [
        paired_bootstrap(random.random(80) < 0.5, random.random(80) < 0.5, resamples=500).significant
        for _ in range(300)
    ]
    assert 0.02 <= np.mean(shown) <= 0.1


def test_pairing_cancels_images_that_are_hard_for_both() -> None:
    random = np.random.default_rng(3)
    hard = random.random(200) < 0.5
    ours, theirs = hard | (random.random(200) < 0.1), hard
    paired = paired_bootstrap(ours, theirs)
    apart = paired_bootstrap(ours, random.permutation(theirs))
    assert paired.high - paired.low < apart.high - apart.low


def test_the_same_seed_gives_the_same_interval() -> None:
    ours, theirs = np.arange(40) % 3 == 0, np.arange(40) % 4 == 0
    assert paired_bootstrap(ours, theirs) == paired_bootstrap(ours, theirs)


def test_resampled_means_equal_those_of_drawing_one_by_one() -> None:
    values = np.arange(20.0)
    drawn = np.random.default_rng(0).choice(values, (20_000, 20)).mean(axis=1)
    means = resample_means(values, 20_000, seed=1)
    assert means.mean() == pytest.approx(drawn.mean(), abs=0.05)
    assert means.std() == pytest.approx(drawn.std(), rel=0.03)


def test_resampling_no_values_raises() -> None:
    with pytest.raises(ValueError, match="no values"):
        paired_bootstrap([], [])


def draw_ways(random: np.random.Generator, shares: list[float], images: int = 200) -> np.ndarray:
    """(T, N): ways with these shares, most of whose errors are on the same images."""
    hard_n, own_tn = random.random(images), random.random((len(shares), images))
    shared_tn = random.random((len(shares), images)) < 0.7
    return np.where(shared_tn, hard_n, own_tn) < np.array(shares)[:, None]


def test_equal_ways_have_no_spread() -> None:
    spread = bootstrap_spread(np.tile(np.arange(50) % 3 == 0, (4, 1)), resamples=500)
    assert (spread.value, spread.low, spread.high, spread.by_chance, spread.p) == (0, 0, 0, 0, 1)


def test_a_large_spread_is_found_and_lies_in_its_interval() -> None:
    spread = bootstrap_spread(draw_ways(np.random.default_rng(1), [0.3, 0.5, 0.6]), resamples=1000)
    assert spread.p < 0.01
    assert 0.15 < spread.low < 0.3 < spread.high < 0.45
    assert spread.low <= spread.value <= spread.high
    assert spread.by_chance < 0.1


def test_equally_good_ways_seem_to_differ_one_time_in_twenty() -> None:
    random = np.random.default_rng(2)
    found = [bootstrap_spread(draw_ways(random, [0.4] * 8), resamples=300, seed=seed) for seed in range(120)]
    assert 0.01 <= np.mean([each.p < 0.05 for each in found]) <= 0.1
    assert np.mean([each.low == 0 for each in found]) >= 0.9
    assert np.mean([each.value for each in found]) == pytest.approx(
        np.mean([each.by_chance for each in found]), rel=0.1
    )


def test_the_interval_of_a_spread_covers_the_true_one() -> None:
    random, shares = np.random.default_rng(3), list(np.linspace(0.3, 0.5, 8))
    found = [bootstrap_spread(draw_ways(random, shares), resamples=300, seed=seed) for seed in range(120)]
    assert np.mean([each.low <= 0.2 <= each.high for each in found]) >= 0.84


def test_the_spread_of_no_images_raises() -> None:
    with pytest.raises(ValueError, match="no images"):
        bootstrap_spread(np.zeros((3, 0), dtype=bool))
