import math
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query import Classification, Hit
from clip_vectorizer.query.hits import StoredImage
from clip_vectorizer.query.zeroshot.classify import (
    ClassificationStores,
    ClassifyContext,
    ClassifyInput,
    ClassifyOptions,
    classify,
)
from clip_vectorizer.query.zeroshot.scores import LOGITS_AT_ONCE
from clip_vectorizer.vectors import Vectors
from tests.query.fakes import INFO, FakeLabels, FakeSidecar, picture, vector_of
from tests.query.zeroshot_fakes import FakeCollectionReader, FakePredictions, stores

LABELS = ("red", "green", "blue")
STRATEGIES = ("images", "labels", "matmul")
SIGMOID = replace(INFO, logit_bias=-6.0)  # its logits are 10 * cosine - 6


def run_classify(
    images: ClassifyInput = None, labels: Sequence[str] = LABELS, on: ClassificationStores | None = None, **options: Any
) -> list[Classification]:
    context = ClassifyContext(options.pop("info", INFO), FakeSidecar(), on or stores())
    return list(classify(images, labels, ["{}"], options.pop("limit", None), ClassifyOptions(**options), context))


def stores_of(*vectors: Vectors, unindexed: Sequence[str] = ()) -> ClassificationStores:
    rows: dict[str, tuple[str, Vectors | None]] = {
        f"id-{index}": (f"{index}.png", vector) for index, vector in enumerate(vectors)
    }
    return replace(stores(), images=FakeCollectionReader(rows, unindexed))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_nearest_label_wins_and_the_next_is_the_runner_up(strategy: str) -> None:
    [result] = run_classify(on=stores_of(vector_of("green")), strategy=strategy)
    assert result.label == "green"
    [result] = run_classify(on=stores_of(np.array([0.1, 0.9, 0.4], dtype=np.float32)), strategy=strategy)
    assert (result.label, result.runner_up, result.path, result.id) == ("green", "blue", "0.png", "id-0")


def test_a_batch_with_many_labels_gets_the_same_results_as_its_images_alone() -> None:
    labels = [*LABELS, *(f"label {number}" for number in range(LOGITS_AT_ONCE // 50))]
    colours = [vector_of(LABELS[number % 3]) for number in range(60)]  # more than are decided at once
    results = run_classify(labels=labels, on=stores_of(*colours), strategy="matmul")
    assert [result.label for result in results] == [LABELS[number % 3] for number in range(60)]
    alone = [run_classify(labels=labels, on=stores_of(colour), strategy="matmul")[0] for colour in colours[:3]]
    assert [each.score for each in results[57:]] == pytest.approx([each.score for each in alone])


def test_more_labels_than_one_search_returns_are_refused_by_the_strategy_that_searches_them() -> None:
    on = stores_of(vector_of("red"))
    with pytest.raises(InputError, match=r"10001 labels and the strategy images.*remove the strategy"):
        run_classify(labels=[f"label {number}" for number in range(MAX_RESULTS + 1)], on=on, strategy="images")
    assert not on.labels.vectors(["label 1"])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_scores_are_a_softmax_over_all_labels_with_the_models_scale(strategy: str) -> None:
    vector = np.array([0.1, 0.9, 0.4]) / np.linalg.norm([0.1, 0.9, 0.4])
    shares = np.exp(10 * vector) / np.exp(10 * vector).sum()
    [result] = run_classify(on=stores_of(vector.astype(np.float32)), strategy=strategy)
    assert result.score == pytest.approx(shares[1], abs=1e-6)
    assert result.margin == pytest.approx(shares[1] - shares[2], abs=1e-6)
    assert result.similarity == pytest.approx(vector[1], abs=1e-6)


def probability(cosine: float) -> float:
    return 1 / (1 + math.exp(6 - 10 * cosine))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_sigmoid_model_scores_each_label_by_itself(strategy: str) -> None:
    on = stores_of(np.array([0.6, 0.0, 0.8], dtype=np.float32), np.array([0.0, 1.0, 0.0], dtype=np.float32))
    both, green = run_classify(on=on, strategy=strategy, info=SIGMOID)
    assert (both.label, both.runner_up, green.label) == ("blue", "red", "green")
    assert both.score == both.similarity == pytest.approx(probability(0.8), abs=1e-6)
    assert both.margin == pytest.approx(probability(0.8) - probability(0.6), abs=1e-6)
    assert green.margin == pytest.approx(probability(1) - probability(0), abs=1e-6)
    alone = run_classify(on=on, labels=["blue", "white"], strategy=strategy, info=SIGMOID)
    assert alone[0].score == pytest.approx(
        probability(7 / 5 / 3**0.5), abs=1e-6
    )  # white's, whatever the other label is


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_sigmoid_models_threshold_is_a_score(strategy: str) -> None:
    on = stores_of(vector_of("red"), vector_of("white"))
    red, white = run_classify(on=on, strategy=strategy, info=SIGMOID, threshold=0.5)
    assert (red.label, red.runner_up) == ("red", "other")
    assert red.margin == pytest.approx(probability(1) - 0.5, abs=1e-6)
    assert (white.label, white.runner_up, white.score) == ("other", "red", 0.5)  # .44 is its best
    assert white.similarity == pytest.approx(probability(3**-0.5), abs=1e-6)
    assert white.margin == pytest.approx(0.5 - white.similarity, abs=1e-6)
    assert [each.label for each in run_classify(on=on, info=SIGMOID, threshold=0.4)] == ["red", "red"]
    assert [each.label for each in run_classify(on=on, info=SIGMOID, threshold=0.99)] == ["other", "other"]


@pytest.mark.parametrize(("threshold", "label"), [(-1.0, "red"), (0.0, "red"), (1.0, "other")])
def test_a_sigmoid_models_threshold_may_be_at_the_end_or_outside(threshold: float, label: str) -> None:
    [result] = run_classify(on=stores_of(vector_of("red")), info=SIGMOID, threshold=threshold)
    assert result.label == label and 0 <= result.score <= 1 and 0 <= result.margin <= 1


def test_with_a_boost_the_scores_of_a_sigmoid_model_are_shares() -> None:
    class Plain:
        cosines = False

        def scorer(self, labels: Sequence[str], *_: Any) -> "Plain":
            return self

        def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
            return 10 * images_nd

    [sigmoid] = run_classify(on=stores_of(vector_of("white")), info=SIGMOID, boost=Plain())
    [softmax] = run_classify(on=stores_of(vector_of("white")), boost=Plain())
    assert sigmoid == softmax and softmax.score == pytest.approx(1 / 3)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_image_without_a_vector_is_reported_in_its_place(strategy: str) -> None:
    results = run_classify(strategy=strategy)
    assert [result.label for result in results[:3]] == ["red", "green", "blue"]
    assert results[-1].path == "lost.png" and "stored without a vector" in results[-1].error


def test_a_collection_without_any_vector_gives_errors() -> None:
    lost = replace(stores(), images=FakeCollectionReader({"a": ("a.png", None)}))
    assert [bool(result.error) for result in run_classify(on=lost)] == [True]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_first_of_equal_labels_wins_in_every_strategy(strategy: str) -> None:
    labels = ["blue", "green", "my red", "red", "your red"]  # three have the same vector
    [result] = run_classify(labels=labels, on=stores_of(vector_of("red")), strategy=strategy)
    assert (result.label, result.runner_up) == ("my red", "red")
    assert result.margin == 0


def test_an_image_that_a_search_does_not_find_is_read() -> None:
    [indexed, unindexed] = run_classify(
        on=stores_of(vector_of("red"), vector_of("blue"), unindexed=["id-1"]), strategy="labels"
    )
    assert (indexed.label, unindexed.label) == ("red", "blue")


def test_a_label_that_a_search_does_not_find_raises() -> None:
    on = stores()
    run_classify(on=on)
    assert isinstance(on.labels, FakeLabels)
    on.labels.unindexed = True
    with pytest.raises(VectorizerError, match="a search finds 0 of 3 labels"):
        run_classify(on=on, strategy="images")


def test_comparing_by_labels_reads_no_vectors() -> None:
    on = stores_of(np.array([0.1, 0.9, 0.4], dtype=np.float32))
    run_classify(on=on, strategy="labels")
    assert isinstance(on.images, FakeCollectionReader) and on.images.read == [False]


def test_files_are_classified_in_order_and_a_broken_one_becomes_an_error() -> None:
    colours = ["red", "green", "blue", "green"] * 20
    files: list[bytes] = [picture(colour) for colour in colours]
    files[5] = b"broken"
    results = run_classify(files)
    assert [result.path for result in results] == [f"images[{index}]" for index in range(80)]
    assert results[5].error == "not an image"
    assert [result.label for result in results[6:]] == colours[6:]


def test_hits_are_classified_in_order_and_a_removed_one_becomes_an_error() -> None:
    hits = [Hit(f"{name}.png", 0.5, 0.5, f"id-{name}", "", "") for name in ("blue", "gone", "red", "lost", "blue")]
    results = run_classify(hits)
    assert [result.label for result in results] == ["blue", "", "red", "", "blue"]
    assert results[1].error == "no longer in the collection" and "without a vector" in results[3].error


@pytest.mark.parametrize("save", [False, True])
def test_closing_the_results_ends_all_threads(save: bool) -> None:
    running = threading.active_count()
    options = ClassifyOptions(strategy="images", save=save)  # queries in threads
    results = classify(None, LABELS, ["{}"], None, options, ClassifyContext(INFO, FakeSidecar(), stores()))
    assert next(results).label == "red"
    results.close()
    assert threading.active_count() == running


def test_an_empty_list_gives_no_results() -> None:
    assert run_classify([]) == run_classify([], save=True) == []


def test_one_image_needs_no_list() -> None:
    assert [result.label for result in run_classify(picture("red"))] == ["red"]
    assert [result.label for result in run_classify(Hit("", 0.5, 0.5, "id-blue", "", ""))] == ["blue"]
    assert [result.label for result in run_classify([StoredImage("", "id-blue", "", "")])] == ["blue"]


@pytest.mark.parametrize("first", [0, 1])
def test_files_and_hits_do_not_mix(first: int) -> None:
    both = [picture("red"), Hit("", 0.5, 0.5, "id-blue", "", "")]
    with pytest.raises(InputError, match="files and hits in one list"):
        run_classify([both[first], both[1 - first]])


def test_an_image_below_the_threshold_is_other() -> None:
    on = stores_of(vector_of("red"), vector_of("white"))
    red, white = run_classify(on=on, threshold=0.9)
    assert (red.label, red.runner_up) == ("red", "other")
    assert (white.label, white.runner_up) == ("other", "red")
    assert white.similarity == pytest.approx(3**-0.5, abs=1e-6)
    assert white.score + 3 * (white.score - white.margin) == pytest.approx(1)


def test_a_boost_replaces_plain_clip() -> None:
    class Reversed:
        cosines = True

        def scorer(self, labels: Sequence[str], *_: Any) -> "Reversed":
            return self

        def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
            return -images_nd

    assert [result.label for result in run_classify(on=stores_of(vector_of("red")), boost=Reversed())] == ["green"]


@pytest.mark.parametrize(
    ("images", "options", "sentence"),
    [
        (None, {"strategy": "matmull"}, "did you mean matmul"),
        (None, {"threshold": 2.0}, "a cosine of -1 to 1"),
        (None, {"boost": object(), "strategy": "labels"}, "plain cosines only"),
        (None, {"threshold": 0.2, "labels": ["red", "Other"]}, "one label is called 'other'"),
        (None, {"labels": "red"}, "give a list of texts"),
        (None, {"labels": ["red", 1]}, "1 is of the type int; labels"),
        (None, {"limit": -1}, "limit -1: expected how many"),
        ([b"x"], {"strategy": "labels"}, "remove it for files"),
        ([b"x"], {"save": True}, "files have no object"),
        ([b"x"], {"filters": "label=fruit"}, "a filter selects from the whole collection"),
    ],
)
def test_invalid_options_raise_a_clear_error(images: ClassifyInput, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        run_classify(images, **options)


def test_saved_results_name_their_label_set() -> None:
    on = stores()
    results = run_classify(on=on, save=True)
    assert isinstance(on.predictions, FakePredictions) and on.predictions.prepared == 1
    assert set(on.predictions.rows) == {result.id for result in results if not result.error}
    _, predicted_by = on.predictions.rows["id-red"]
    assert len(predicted_by) == 8


def test_a_result_that_cannot_be_saved_has_an_error_and_the_others_are_saved() -> None:
    on = replace(stores(), predictions=FakePredictions(rejects=["id-green"]))
    assert [result.error for result in run_classify(on=on, save=True)[:3]] == ["", "not written: no", ""]


def test_a_limit_also_limits_what_is_saved() -> None:
    on = stores()
    run_classify(on=on, save=True, limit=2)
    assert isinstance(on.predictions, FakePredictions) and len(on.predictions.rows) == 2


def test_an_image_only_model_is_refused_before_any_label_is_stored() -> None:
    on = stores_of(vector_of("green"))
    with pytest.raises(InputError, match=r"labels are texts, and hash is an image-only model; .*--vectorizer-url"):
        run_classify(on=on, info=replace(INFO, texts=False))
    assert isinstance(on.labels, FakeLabels) and on.labels.texts == []
