import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.prompts import (
    BLANK,
    HAN,
    PROMPTS,
    check_templates,
    default_templates,
    fill_templates,
    get_templates,
)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_set_is_usable_and_says_nothing_twice(name: str) -> None:
    templates = check_templates(PROMPTS[name])
    assert len(set(templates)) == len(templates)


@pytest.mark.parametrize("name", [name for name in PROMPTS if name.endswith("-7")])
def test_a_set_named_7_has_seven(name: str) -> None:
    assert len(PROMPTS[name]) == 7


def test_an_unknown_set_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'foto'; did you mean photo\? there are word, photo, photo-7"):
        get_templates("foto")


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "", "{label}"])
def test_a_template_needs_one_place_for_the_label(template: str) -> None:
    with pytest.raises(InputError, match="once, where the label goes"):
        check_templates(["a {}", template])


def test_no_templates_is_an_error_too() -> None:
    with pytest.raises(InputError, match="no prompt template"):
        check_templates([])


def test_photo_80_is_open_clips_list() -> None:
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    assert PROMPTS["photo-80"] == tuple(template(BLANK) for template in OPENAI_IMAGENET_TEMPLATES)


@pytest.mark.parametrize("name", ["photo-80", "zh-photo-80"])
def test_a_set_named_80_has_eighty(name: str) -> None:
    assert len(PROMPTS[name]) == 80


def test_the_chinese_eighty_are_chinese() -> None:
    assert all(HAN.search(template) and template.isprintable() for template in PROMPTS["zh-photo-80"])


def test_a_set_that_is_nearly_named_is_offered() -> None:
    with pytest.raises(InputError, match=r"did you mean photo-80\?"):
        get_templates("foto-80")


def test_braces_of_a_label_are_left_alone() -> None:
    assert fill_templates(["a {} {x}"], "{0}") == ("a {0} {x}",)


def test_prompts_speak_the_language_of_the_label_and_the_manner_of_the_model() -> None:
    assert default_templates("苹果", "emoji") == PROMPTS["zh-drawing-7"]
    assert default_templates("苹果", "ViT-B-32::openai") == PROMPTS["zh-photo-7"]
    assert default_templates("apple", "emoji") == PROMPTS["drawing-7"]
    assert default_templates("apple", "ViT-B-32::openai") == PROMPTS["photo-7"]
