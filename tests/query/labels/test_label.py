from dataclasses import replace

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.labels.label_store import build_labels, check_labels, parse_label
from tests.query.fakes import INFO


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ([], "no labels given; .*at least two"),
        (["red"], "one label given; .*at least two"),
        (["red", " ", "blue"], "label 2 of 3 is empty"),
        (["red", "caf\udce9"], "is not UTF-8 text"),
        (["red", "blue", "red"], "'red' is given twice"),
        (["Red", "blue", " red "], r"'red' is given twice \(first as 'Red'\)"),
        ([str(number) for number in range(10_001)], "at most 10000"),
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
