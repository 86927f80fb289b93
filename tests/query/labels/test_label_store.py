import logging
from dataclasses import replace

import numpy as np
import pytest

from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError, VectorizerError
from clip_vectorizer.query.labels.label_store import (
    Label,
    build_labels,
    check_labels,
    compute_label_vectors,
    parse_label,
    store_labels,
)
from tests.query.fakes import INFO, FakeLabels, FakeSidecar, vector_of


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "no labels given; .*at least two"),
        (["red"], "one label given; .*at least two"),
        (["red", " ", "blue"], "label 2 of 3 is empty"),
        (["red", "caf\udce9"], "is not UTF-8 text"),
        (["red", "blue", "red"], "'red' is given twice"),
        (["Red", "blue", " red "], r"'red' is given twice \(first as 'Red'\)"),
        ([str(number) for number in range(100_001)], "at most 100000"),
    ],
)
def test_invalid_labels_raise_and_are_named(texts: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_labels(texts)


def test_white_space_around_a_label_is_removed() -> None:
    assert check_labels([" red\t apple ", "blue"]) == ["red apple", "blue"]


def test_other_prompts_or_another_model_make_another_label() -> None:
    def first_id(templates: list[str], revision: str) -> str:
        return build_labels(["red", "blue"], templates, replace(INFO, revision=revision))[0].id

    assert len({first_id(["{}"], "1"), first_id(["a {}"], "1"), first_id(["{}"], "2")}) == 3
    assert first_id(["{}", "a {}"], "1") == first_id(["a {}", "{}"], "1")  # a mean has no order


def test_descriptions_replace_the_name_in_every_template() -> None:
    [crane, _] = build_labels(["crane: a building crane / a wading bird", "bat"], ["{}", "a photo of a {}."], INFO)
    assert crane.text == "crane"
    assert crane.prompts == (
        *("a building crane", "a wading bird"),
        *("a photo of a building crane.", "a photo of a wading bird."),
    )


@pytest.mark.parametrize(
    ("entry", "name", "descriptions"),
    [
        ("bat", "bat", ()),
        ("16:9", "16:9", ()),
        ("and/or", "and/or", ()),
        ("crane: a bird", "crane", ("a bird",)),
        ("crane: a bird / a bird / a machine", "crane", ("a bird", "a machine")),
        ("鹤\uff1a一种涉禽 / 白鹤", "鹤", ("一种涉禽", "白鹤")),
    ],
)
def test_a_colon_and_a_space_begin_descriptions(entry: str, name: str, descriptions: tuple[str, ...]) -> None:
    assert parse_label(entry) == (name, descriptions)


@pytest.mark.parametrize("entry", ["crane:", "crane: a bird / ", "crane: / a bird", "crane: a /  / b"])
def test_an_empty_description_raises(entry: str) -> None:
    with pytest.raises(InputError, match=r"a colon and no description|an empty description"):
        build_labels([entry, "bat"], None, INFO)


def test_other_descriptions_make_another_label_but_not_another_name() -> None:
    one, other = (build_labels([f"crane: {each}", "bat"], ["{}"], INFO)[0] for each in ("a bird", "a machine"))
    assert one.id != other.id and one.text == other.text
    with pytest.raises(InputError, match="'Crane' is given twice"):
        build_labels(["crane: a bird", "Crane: a machine"], ["{}"], INFO)


def test_a_label_has_the_name_and_version_of_its_prompt_set() -> None:
    [english, chinese] = build_labels(["apple", "苹果"], None, INFO)
    assert (english.prompt_set, chinese.prompt_set) == ("photo-7", "zh-photo-7")
    assert len({english.version, chinese.version}) == 2 and len(english.version) == 8


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


def test_more_labels_than_one_search_returns_are_stored_and_found() -> None:
    store = FakeLabels()
    store_and_list([f"label {number}" for number in range(MAX_RESULTS + 1)], store, ["{}"])
    assert len(store.rows) == MAX_RESULTS + 1


def test_labels_that_no_search_finds_raise() -> None:
    labels = build_labels(["red", "blue"], None, INFO)
    with pytest.raises(VectorizerError, match="2 of 2 labels cannot be found"):
        store_labels(labels, INFO.dimension, FakeSidecar(), FakeLabels(unindexed=True), searchable_seconds=0)
