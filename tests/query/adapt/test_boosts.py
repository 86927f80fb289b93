"""Boosts, on a collection small enough to check by eye."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from weaviate.classes.config import DataType

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt import boosts
from clip_vectorizer.query.adapt.boosts import compute_mean, few_shot, linear_probe, remove_mean, remove_means
from clip_vectorizer.query.adapt.shots import read_shots
from clip_vectorizer.query.search.calls import SearchTarget, WeaviateCall
from clip_vectorizer.query.zeroshot.scores import DecisionRule, ImageBatch
from clip_vectorizer.vectors import Vectors
from tests.query.adapt.test_few_shot import directions

AXES: Vectors = np.eye(3, dtype=np.float32)
PROPERTIES = {"label": DataType.TEXT, "colour": DataType.TEXT, "size": DataType.INT}


class Stored:
    """Answers like Weaviate; a filter lets everything through whose text shares a word with it."""

    target = SearchTarget("Image", PROPERTIES)

    def __init__(self, *rows: tuple[str, str, list[float]]) -> None:
        self.calls: list[WeaviateCall] = []
        self.rows = [
            SimpleNamespace(uuid=id, properties={"label": label}, vector={"clip": vector}) for id, label, vector in rows
        ]

    def execute(self, call: WeaviateCall) -> Any:
        self.calls.append(call)
        arguments = call.arguments
        words = set(arguments["filters"].value.split()) if arguments.get("filters") else None
        rows = [row for row in self.rows if words is None or words & set(row.properties["label"].split())]
        rows = sorted(rows, key=lambda row: row.uuid) if arguments.get("after") is None else []
        start = arguments.get("offset", 0)
        return SimpleNamespace(objects=rows[start : start + arguments["limit"]])


def colours() -> Stored:
    return Stored(
        ("4", "red", [1, 0, 0.1]),
        ("1", "red", [1, 0.1, 0]),
        ("3", "blue", [0, 0.1, 1]),
        ("2", "blue", [0.1, 0, 1]),
        ("5", "dark red", [0, 1, 0]),
    )


def test_shots_are_the_first_by_id_and_exactly_of_the_label() -> None:
    shots = read_shots(["red", "blue"], "label", 2, colours())
    assert (shots.ids_m, shots.classes_m.tolist()) == (["1", "4", "2", "3"], [0, 0, 1, 1])
    np.testing.assert_allclose(np.linalg.norm(shots.vectors_md, axis=1), 1, atol=1e-6)
    assert list(read_shots(["red", "blue"], "label", 1, colours()).ids_m) == ["1", "2"]


def test_every_query_requests_the_vector_by_name() -> None:
    stored = colours()
    read_shots(["red", "blue"], "label", 2, stored)
    assert all(call.arguments["include_vector"] == ["clip"] for call in stored.calls)


@pytest.mark.parametrize("boost", [few_shot("label"), linear_probe("label")])
def test_shots_outvote_a_wrong_text(boost: Any) -> None:
    texts = AXES[[2, 0]]  # "red" lies where blue images are, and the reverse
    scorer = boost.scorer(["red", "blue"], texts, 10.0, colours())
    assert scorer.logits(AXES[[0, 2]], ["", ""]).argmax(axis=1).tolist() == [0, 1]


def test_a_label_without_shots_is_logged_and_uses_its_text(caplog: pytest.LogCaptureFixture) -> None:
    scorer = few_shot("label").scorer(["red", "blue", "green"], AXES[[0, 2, 1]], 10.0, colours())
    assert "no image has label green" in caplog.text
    assert scorer.logits(AXES[[1]], [""]).argmax() == 2


def test_mean_removal_needs_no_labelled_images() -> None:
    scorer = remove_means().scorer(["red", "blue"], AXES[[0, 2]], 10.0, colours())
    assert scorer.cosines
    assert scorer.logits(AXES[[0, 2]], ["", ""]).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "boost", "sentence"),
    [
        (["red", "blue"], few_shot("labl"), "no property labl; did you mean label"),
        (["red", "blue"], linear_probe("size"), "not a text but int"),
        (["reds", "green"], few_shot("label"), r"nothing to learn from; did you mean red\?"),
        (["red", "green"], few_shot("label"), "only the label 'red' has images"),
        (["red", "blue"], few_shot("label", shots=0), "expected 1 to"),
        (["red", "blue"], few_shot("label", shots=10**6), "expected 1 to"),
    ],
)
def test_missing_shots_raise_a_clear_error(labels: list[str], boost: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        boost.scorer(labels, AXES[: len(labels)], 10.0, colours())


@pytest.mark.parametrize("boost", [few_shot(), linear_probe(), remove_means()])
def test_without_a_collection_every_boost_raises(boost: Any) -> None:
    with pytest.raises(InputError, match="connected without a collection"):
        boost.scorer(["red", "blue"], AXES[[0, 2]], 10.0, None)


def decide(threshold: float | None) -> list[tuple[str, float]]:
    """Two labels with the shares .6 and .4, then .9 and .1; logits without a scale."""
    logits = np.log(np.array([[0.6, 0.4], [0.9, 0.1]], dtype=np.float32)) + 7
    rule = DecisionRule(["red", "blue"], AXES[:2], 20.0, threshold, cosines=False, exact=False)
    found = rule.classify(ImageBatch(["", ""], ["a", "b"], AXES[:2]), logits, lambda _: AXES[:0])
    return [(each.label, round(each.similarity, 3)) for each in found]


def test_without_cosines_the_threshold_is_a_share() -> None:
    assert decide(None) == [("red", 0.6), ("red", 0.9)]
    assert decide(0.7) == [("other", 0.6), ("red", 0.9)]
    assert decide(0.0) == [("red", 0.6), ("red", 0.9)]
    assert decide(1.0) == [("other", 0.6), ("other", 0.9)]


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
