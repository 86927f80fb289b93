"""The few-shot cache: shots and texts vote."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.query.adapt.few_shot import FewShotCache, compute_class_means, tune_cache
from clip_vectorizer.vectors import Vectors, unit

SIDE = 8  # dimensions
NO_IDS = [""] * 4


def directions(seed: int, count: int) -> Vectors:
    return unit(np.random.default_rng(seed).standard_normal((count, SIDE)).astype(np.float32))


def cache(**changed: object) -> FewShotCache:
    """Two shots of the label 0, along the first axis, and one of the label 1, along the second."""
    given = {
        "shots_md": np.eye(SIDE, dtype=np.float32)[[0, 2, 1]],
        "classes_m": np.array([0, 0, 1]),
        "ids_m": ["a", "b", "c"],
        "alpha": 2.0,
        "beta": 1.0,
    }
    return FewShotCache(**(given | changed))  # type: ignore[arg-type]


def test_the_formula_is_the_papers() -> None:
    image = unit(np.full((1, SIDE), 1.0, dtype=np.float32))
    text = np.array([[1.0, 3.0]], dtype=np.float32)
    affinity = np.exp(-1.0 * (1 - 1 / np.sqrt(SIDE)))  # the same to all shots
    np.testing.assert_allclose(cache().logits(image, [""], text), text + 2 * affinity, rtol=1e-5)


def test_with_equally_many_shots_a_label_alpha_for_the_mean_is_alpha_for_the_sum() -> None:
    shots, images, text = directions(0, 6), directions(1, 4), np.zeros((4, 3), dtype=np.float32)
    classes = np.array([0, 0, 1, 1, 2, 2])
    summed = np.exp(-3 * (1 - images @ shots.T)) @ np.eye(3)[classes]
    ours = FewShotCache(shots, classes, list("abcdef"), alpha=2.0, beta=3.0).logits(images, NO_IDS, text)
    np.testing.assert_allclose(ours, summed, rtol=1e-5)


def test_a_shot_has_no_vote_on_itself() -> None:
    near_first = unit(np.array([[1, 0.1, 0.1, 0, 0, 0, 0, 0]], dtype=np.float32))
    by_id = cache().affinities(near_first, ["a"], 2)
    without = FewShotCache(cache().shots_md[1:], np.array([0, 1]), ["b", "c"], 2.0, 1.0).affinities(near_first, [""], 2)
    np.testing.assert_allclose(by_id, without, rtol=1e-6)


def test_the_same_file_under_another_id_has_no_vote_either() -> None:
    first = np.eye(SIDE, dtype=np.float32)[:1]
    np.testing.assert_array_equal(cache().affinities(first, ["a"], 2), cache().affinities(first, ["elsewhere"], 2))


def test_an_empty_id_matches_no_shot() -> None:
    image = directions(3, 1)
    nameless = cache(ids_m=["", "", ""])
    np.testing.assert_array_equal(nameless.affinities(image, [""], 2), cache().affinities(image, ["x"], 2))


def test_a_label_without_shots_uses_its_text() -> None:
    image, text = directions(2, 1), np.array([[0.0, 0.0, 5.0]], dtype=np.float32)
    logits = cache().logits(image, [""], text)
    assert logits.argmax() == 2
    votes = cache().affinities(image, [""], 3)[0]
    assert votes[2] == pytest.approx(votes[:2].mean())


def test_alpha_0_is_plain_clip() -> None:
    text = directions(5, 4)
    np.testing.assert_array_equal(cache(alpha=0.0).logits(directions(6, 4), NO_IDS, text), text)


def test_no_images_give_no_logits() -> None:
    assert cache().logits(np.zeros((0, SIDE), np.float32), [], np.zeros((0, 2), np.float32)).shape == (0, 2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(6)))
def test_the_order_of_the_shots_does_not_matter(seed: int, order: list[int]) -> None:
    shots, images = directions(seed, 6), directions(seed ^ 1, 4)
    classes, ids = np.array([0, 0, 1, 1, 2, 2]), list("abcdef")
    text_logits, own = directions(seed ^ 2, 4)[:, :3], directions(seed ^ 3, 6)[:, :3]
    kept = tune_cache(shots, classes, ids, own)
    mixed = tune_cache(shots[order], classes[order], [ids[place] for place in order], own[order])
    assert (kept.alpha, kept.beta) == (mixed.alpha, mixed.beta)
    np.testing.assert_allclose(
        kept.logits(images, NO_IDS, text_logits), mixed.logits(images, NO_IDS, text_logits), rtol=1e-3, atol=1e-4
    )


def clusters(per_class: int) -> tuple[Vectors, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    """Four labels, each around an axis of its own."""
    classes = np.repeat(np.arange(4), per_class)
    noise = 0.3 * np.random.default_rng(1).standard_normal((len(classes), SIDE))
    return unit((np.eye(SIDE)[classes] + noise).astype(np.float32)), classes


def test_shots_are_trusted_where_texts_are_wrong() -> None:
    shots, classes = clusters(6)
    images, truth = clusters(5)
    wrong = np.eye(4, dtype=np.float32)[(truth + 1) % 4]
    found = tune_cache(
        shots, classes, [str(each) for each in range(len(shots))], np.eye(4, dtype=np.float32)[(classes + 1) % 4]
    )
    assert found.alpha > 0
    assert (found.logits(images, [""] * len(images), wrong).argmax(axis=1) == truth).mean() > 0.9


def test_texts_are_trusted_where_shots_are_random() -> None:
    shots, classes = directions(9, 24), np.repeat(np.arange(4), 6)
    found = tune_cache(shots, classes, [""] * 24, 20 * np.eye(4, dtype=np.float32)[classes])
    assert (found.logits(shots, [""] * 24, 20 * np.eye(4, dtype=np.float32)[classes]).argmax(axis=1) == classes).all()


def test_with_one_shot_per_label_the_papers_values_are_used() -> None:
    shots, classes = clusters(1)
    found = tune_cache(shots, classes, list("abcd"), np.zeros((4, 4), dtype=np.float32))
    assert (found.alpha, found.beta, found.temperature) == (16.0, 5.5, 1.0)


def test_class_means_are_over_the_shots_that_vote() -> None:
    values = np.array([[1, 3, 5]], dtype=np.float32)
    votes = np.array([[True, True, False]])
    means = compute_class_means(values * votes, votes, np.array([0, 0, 1]), labels=2)
    np.testing.assert_allclose(means, [[2, 2]])  # the label 1 has no voter: the mean of the others
