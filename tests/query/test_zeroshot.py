import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.query.labels import label_set, store_labels
from clip_vectorizer.query.zeroshot import Classification, Embedded, classified, softmax
from tests.query.fakes import INFO, FakeLabels, FakeSidecar, vector_of

COSINES = st.lists(st.floats(-1, 1), min_size=2, max_size=50)


def classify(*images: Embedded, labels: tuple[str, ...] = ("red", "green", "blue")) -> list[Classification]:
    store, chosen = FakeLabels(), label_set(labels, ["{}"], INFO)
    store_labels(chosen, INFO.dimension, FakeSidecar(), store)
    return list(classified([images], chosen, store, INFO.logit_scale))


def test_the_nearest_label_wins_and_the_next_is_the_runner_up() -> None:
    [result] = classify(Embedded("x", np.array([0.1, 0.9, 0.4], dtype=np.float32)))
    assert (result.label, result.runner_up) == ("green", "blue")


def test_scores_are_a_softmax_over_all_labels_with_the_models_scale() -> None:
    vector = np.array([0.1, 0.9, 0.4], dtype=np.float32)
    shares = np.exp(10 * vector) / np.exp(10 * vector).sum()
    [result] = classify(Embedded("x", vector))
    assert result.score == pytest.approx(shares[1], abs=1e-6)
    assert result.margin == pytest.approx(shares[1] - shares[2], abs=1e-6)


def test_results_keep_the_order_of_the_images_however_many() -> None:
    colours = ["red", "green", "blue", "green"] * 40
    results = classify(*[Embedded(str(index), vector_of(colour)) for index, colour in enumerate(colours)])
    assert [result.path for result in results] == [str(index) for index in range(160)]
    assert [result.label for result in results] == colours


def test_an_image_without_a_vector_is_reported_in_its_place() -> None:
    lost = Embedded("b", None, "truncated")
    results = classify(Embedded("a", vector_of("red")), lost, Embedded("c", vector_of("blue")))
    assert results[1] == Classification("b", error="truncated")
    assert [results[0].label, results[2].label] == ["red", "blue"]


def test_a_label_deleted_meanwhile_is_an_error_and_not_a_wrong_answer() -> None:
    store, labels = FakeLabels(), label_set(["red", "blue"], ["{}"], INFO)
    store_labels(labels, INFO.dimension, FakeSidecar(), store)
    del store.rows[labels[0].id]
    with pytest.raises(VectorizerError, match="1 of 2 labels left the database"):
        list(classified([[Embedded("x", vector_of("red"))]], labels, store, INFO.logit_scale))


@given(COSINES, st.floats(0.1, 1000))
def test_shares_add_up_to_one_and_keep_the_order(cosines: list[float], scale: float) -> None:
    shares = softmax(scale * np.array(sorted(cosines, reverse=True))).tolist()
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
