import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query import Classification, Hit
from clip_vectorizer.query.hits import StoredImage
from clip_vectorizer.query.zeroshot.arguments import ClassifyInput, ClassifyOptions
from clip_vectorizer.query.zeroshot.classify import ClassificationStores, ClassifyContext, classify
from clip_vectorizer.vectors import Vectors
from tests.query.fakes import INFO, FakeLabels, FakeSidecar, picture, vector_of
from tests.query.zeroshot_fakes import FakeCollected, FakePredictions, shelf

LABELS = ("red", "green", "blue")
STRATEGIES = ("images", "labels", "matmul")


def classified(
    images: ClassifyInput = None, labels: Sequence[str] = LABELS, on: ClassificationStores | None = None, **how: Any
) -> list[Classification]:
    parts = ClassifyContext(INFO, FakeSidecar(), on or shelf())
    return list(classify(images, labels, ["{}"], how.pop("limit", None), ClassifyOptions(**how), parts))


def holding(*vectors: Vectors, deaf: Sequence[str] = ()) -> ClassificationStores:
    rows: dict[str, tuple[str, Vectors | None]] = {
        f"id-{index}": (f"{index}.png", vector) for index, vector in enumerate(vectors)
    }
    return replace(shelf(), images=FakeCollected(rows, deaf))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_nearest_label_wins_and_the_next_is_the_runner_up(strategy: str) -> None:
    [result] = classified(on=holding(vector_of("green")), strategy=strategy)
    assert result.label == "green"
    [result] = classified(on=holding(np.array([0.1, 0.9, 0.4], dtype=np.float32)), strategy=strategy)
    assert (result.label, result.runner_up, result.path, result.id) == ("green", "blue", "0.png", "id-0")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_scores_are_a_softmax_over_all_labels_with_the_models_scale(strategy: str) -> None:
    vector = np.array([0.1, 0.9, 0.4]) / np.linalg.norm([0.1, 0.9, 0.4])
    shares = np.exp(10 * vector) / np.exp(10 * vector).sum()
    [result] = classified(on=holding(vector.astype(np.float32)), strategy=strategy)
    assert result.score == pytest.approx(shares[1], abs=1e-6)
    assert result.margin == pytest.approx(shares[1] - shares[2], abs=1e-6)
    assert result.similarity == pytest.approx(vector[1], abs=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_an_image_without_a_vector_is_reported_in_its_place(strategy: str) -> None:
    results = classified(strategy=strategy)
    assert [result.label for result in results[:3]] == ["red", "green", "blue"]
    assert results[-1].path == "lost.png" and "stored without a vector" in results[-1].error


def test_only_nothing_but_images_without_vectors_is_no_crash() -> None:
    lost = replace(shelf(), images=FakeCollected({"a": ("a.png", None)}))
    assert [bool(result.error) for result in classified(on=lost)] == [True]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_of_equal_labels_the_first_wins_in_every_strategy(strategy: str) -> None:
    labels = ["blue", "green", "my red", "red", "your red"]  # three have the same vector
    [result] = classified(labels=labels, on=holding(vector_of("red")), strategy=strategy)
    assert (result.label, result.runner_up) == ("my red", "red")
    assert result.margin == 0


def test_an_image_that_no_search_finds_is_read() -> None:
    [heard, unheard] = classified(on=holding(vector_of("red"), vector_of("blue"), deaf=["id-1"]), strategy="labels")
    assert (heard.label, unheard.label) == ("red", "blue")


def test_a_label_that_no_search_finds_is_an_error_and_not_a_wrong_answer() -> None:
    on = shelf()
    classified(on=on)
    assert isinstance(on.labels, FakeLabels)
    on.labels.deaf = True
    with pytest.raises(VectorizerError, match="a search finds 0 of 3 labels"):
        classified(on=on, strategy="images")


def test_comparing_by_labels_reads_no_vectors() -> None:
    on = holding(np.array([0.1, 0.9, 0.4], dtype=np.float32))
    classified(on=on, strategy="labels")
    assert isinstance(on.images, FakeCollected) and on.images.read == [False]


def test_files_are_classified_in_order_however_many_and_a_broken_one_stops_nothing() -> None:
    colours = ["red", "green", "blue", "green"] * 20
    files: list[bytes] = [picture(colour) for colour in colours]
    files[5] = b"broken"
    results = classified(files)
    assert [result.path for result in results] == [f"images[{index}]" for index in range(80)]
    assert results[5].error == "not an image"
    assert [result.label for result in results[6:]] == colours[6:]


def test_hits_are_classified_in_their_order_and_one_that_left_is_named() -> None:
    hits = [Hit(f"{name}.png", 0.5, 0.5, f"id-{name}", "", "") for name in ("blue", "gone", "red", "lost", "blue")]
    results = classified(hits)
    assert [result.label for result in results] == ["blue", "", "red", "", "blue"]
    assert results[1].error == "no longer in the collection" and "without a vector" in results[3].error


@pytest.mark.parametrize("write", [False, True])
def test_whoever_wants_no_more_results_closes_them_and_no_thread_is_left(write: bool) -> None:
    running = threading.active_count()
    wanted = ClassifyOptions(strategy="images", write=write)  # asks in threads
    results = classify(None, LABELS, ["{}"], None, wanted, ClassifyContext(INFO, FakeSidecar(), shelf()))
    assert next(results).label == "red"
    results.close()
    assert threading.active_count() == running


def test_no_files_and_no_hits_are_no_results_and_nothing_to_write() -> None:
    assert classified([]) == classified([], write=True) == []


def test_one_image_needs_no_list() -> None:
    assert [result.label for result in classified(picture("red"))] == ["red"]
    assert [result.label for result in classified(Hit("", 0.5, 0.5, "id-blue", "", ""))] == ["blue"]
    assert [result.label for result in classified([StoredImage("", "id-blue", "", "")])] == ["blue"]


@pytest.mark.parametrize("first", [0, 1])
def test_files_and_hits_do_not_mix(first: int) -> None:
    both = [picture("red"), Hit("", 0.5, 0.5, "id-blue", "", "")]
    with pytest.raises(InputError, match="files and hits in one list"):
        classified([both[first], both[1 - first]])


def test_an_image_unlike_every_label_shows_something_else() -> None:
    on = holding(vector_of("red"), vector_of("white"))
    red, white = classified(on=on, other=0.9)
    assert (red.label, red.runner_up) == ("red", "other")
    assert (white.label, white.runner_up) == ("other", "red")
    assert white.similarity == pytest.approx(3**-0.5, abs=1e-6)
    assert white.score + 3 * (white.score - white.margin) == pytest.approx(1)


def test_what_is_better_than_plain_decides() -> None:
    class Reversed:
        cosines = True

        def scorer(self, labels: Sequence[str], *_: Any) -> "Reversed":
            return self

        def logits(self, images_nd: Vectors, ids: Sequence[str]) -> Vectors:
            return -images_nd

    assert [result.label for result in classified(on=holding(vector_of("red")), boost=Reversed())] == ["green"]


@pytest.mark.parametrize(
    ("images", "how", "sentence"),
    [
        (None, {"strategy": "matmull"}, "did you mean matmul"),
        (None, {"other": 2.0}, "a cosine of -1 to 1"),
        (None, {"boost": object(), "strategy": "labels"}, "plain cosines only"),
        (None, {"other": 0.2, "labels": ["red", "Other"]}, "one label is called 'other'"),
        (None, {"labels": "red"}, "give a list of texts"),
        (None, {"labels": ["red", 1]}, "1 is of the type int; labels"),
        (None, {"limit": -1}, "limit -1: expected how many"),
        ([b"x"], {"strategy": "labels"}, "leave it away for files"),
        ([b"x"], {"write": True}, "files have no object"),
        ([b"x"], {"where": "label=fruit"}, "a filter chooses among the whole collection"),
    ],
)
def test_what_does_not_go_together_is_said(images: ClassifyInput, how: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        classified(images, **how)


def test_results_are_written_with_the_set_that_they_are_of() -> None:
    on = shelf()
    results = classified(on=on, write=True)
    assert isinstance(on.predictions, FakePredictions) and on.predictions.prepared == 1
    assert set(on.predictions.rows) == {result.id for result in results if not result.error}
    [[_, by]] = {id: row for id, row in on.predictions.rows.items() if id == "id-red"}.values()
    assert len(by) == 8


def test_a_result_that_cannot_be_written_has_an_error_and_stops_nothing() -> None:
    on = replace(shelf(), predictions=FakePredictions(refuses=["id-green"]))
    assert [result.error for result in classified(on=on, write=True)[:3]] == ["", "not written: no", ""]


def test_a_limit_bounds_what_is_written() -> None:
    on = shelf()
    classified(on=on, write=True, limit=2)
    assert isinstance(on.predictions, FakePredictions) and len(on.predictions.rows) == 2
