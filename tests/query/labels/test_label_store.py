import logging
from dataclasses import replace

import numpy as np
import pytest

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.labels.label_store import Label, build_labels, compute_label_vectors, store_labels
from tests.query.fakes import INFO, FakeLabels, FakeSidecar, vector_of


def store_and_list(
    texts: list[str], store: FakeLabels, templates: list[str] | None = None
) -> tuple[list[Label], list[str]]:
    """Store labels; return them and the texts that were embedded."""
    sidecar = FakeSidecar()
    labels = build_labels(texts, templates, INFO)
    store_labels(labels, INFO.dimension, sidecar, store)
    return labels, sidecar.texts


def test_a_labels_vector_is_the_unit_mean_of_its_prompts() -> None:
    [label] = build_labels(["red", "blue"], ["{}", "green {}"], INFO)[:1]
    [vector] = compute_label_vectors([label], FakeSidecar())
    mean = (vector_of("red") + vector_of("green red")) / 2
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-6)


def test_labels_with_different_numbers_of_prompts_keep_their_own() -> None:
    one, two = build_labels(["red", "blue"], ["{}"], INFO)
    more = replace(two, prompts=("blue", "blue", "blue green"))
    vectors = compute_label_vectors([one, more, one], FakeSidecar())
    np.testing.assert_allclose(vectors[0], vector_of("red"), atol=1e-6)
    np.testing.assert_allclose(vectors[2], vector_of("red"), atol=1e-6)
    assert vectors[1][1] > 0


def test_a_second_run_embeds_nothing() -> None:
    store = FakeLabels()
    first, embedded = store_and_list(["red", "blue"], store, ["{}", "a {}"])
    assert embedded == ["red", "a red", "blue", "a blue"]
    assert store_and_list(["red", "blue"], store, ["{}", "a {}"]) == (first, [])


def test_a_growing_set_embeds_the_new_label_only_and_keeps_the_callers_order() -> None:
    store = FakeLabels()
    store_and_list(["red", "blue"], store, ["{}"])
    labels, embedded = store_and_list(["blue", "green", "red"], store, ["{}"])
    assert embedded == ["green"]
    assert [label.text for label in labels] == ["blue", "green", "red"]


def test_progress_of_many_labels_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        store_and_list(
            [f"label {number}" for number in range(60)], FakeLabels(), [f"{{}} {number}" for number in range(8)]
        )
    assert caplog.messages == ["32 of 60 new labels embedded and stored", "60 of 60 new labels embedded and stored"]


def test_a_set_interrupted_half_way_is_completed() -> None:
    store = FakeLabels()
    all_of_it = [f"label {number}" for number in range(100)]
    store_and_list(all_of_it[:64], store)
    _, embedded = store_and_list(all_of_it, store)
    assert len(store.rows) == 100
    assert "label 10" not in embedded


def test_storing_waits_until_a_search_finds_the_labels() -> None:
    store = FakeLabels(late=2)
    store_and_list(["red", "blue"], store)
    assert store.texts == ["red", "blue"] and store.late <= 0


def test_labels_that_no_search_finds_raise() -> None:
    labels = build_labels(["red", "blue"], None, INFO)
    with pytest.raises(VectorizerError, match="2 of 2 labels cannot be found"):
        store_labels(labels, INFO.dimension, FakeSidecar(), FakeLabels(unindexed=True), searchable_seconds=0)
