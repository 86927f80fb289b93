from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.prompts import (
    BLANK,
    HAN,
    PROMPTS,
    PromptSet,
    check_templates,
    default_templates,
    fill_templates,
    get_templates,
    select_prompt_set,
)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_set_is_valid_and_has_no_template_twice(name: str) -> None:
    templates = check_templates(PROMPTS[name])
    assert len(set(templates)) == len(templates)


@pytest.mark.parametrize("name", [name for name in PROMPTS if name.endswith("-7")])
def test_a_set_named_7_has_seven_templates(name: str) -> None:
    assert len(PROMPTS[name]) == 7


def test_the_error_for_an_unknown_set_lists_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"'foto'; did you mean photo\? there are word, photo, photo-7"):
        get_templates("foto")


@pytest.mark.parametrize("template", ["a photo", "{} and {}", "", "{label}"])
def test_a_template_needs_exactly_one_placeholder(template: str) -> None:
    with pytest.raises(InputError, match="once, where the label goes"):
        check_templates(["a {}", template])


def test_no_templates_is_an_error() -> None:
    with pytest.raises(InputError, match="no prompt template"):
        check_templates([])


def test_photo_80_is_open_clips_list() -> None:
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    assert PROMPTS["photo-80"] == tuple(template(BLANK) for template in OPENAI_IMAGENET_TEMPLATES)


@pytest.mark.parametrize("name", ["photo-80", "zh-photo-80"])
def test_a_set_named_80_has_eighty_templates(name: str) -> None:
    assert len(PROMPTS[name]) == 80


def test_the_chinese_eighty_are_chinese() -> None:
    assert all(HAN.search(template) and template.isprintable() for template in PROMPTS["zh-photo-80"])


def test_the_error_for_a_misspelt_set_names_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"did you mean photo-80\?"):
        get_templates("foto-80")


def test_braces_of_a_label_are_kept() -> None:
    assert fill_templates(["a {} {x}"], "{0}") == ("a {0} {x}",)


def test_default_prompts_depend_on_the_language_of_the_label_and_on_the_model() -> None:
    assert default_templates("苹果", "emoji") == PROMPTS["zh-drawing-7"]
    assert default_templates("苹果", "ViT-B-32::openai") == PROMPTS["zh-photo-7"]
    assert default_templates("apple", "emoji") == PROMPTS["drawing-7"]
    assert default_templates("apple", "ViT-B-32::openai") == PROMPTS["photo-7"]


def test_a_built_in_set_has_its_name_and_templates() -> None:
    assert select_prompt_set("photo-7") == PromptSet("photo-7", PROMPTS["photo-7"])


def test_the_version_does_not_depend_on_the_order_of_templates() -> None:
    one, turned, other = (PromptSet("x", templates).version for templates in (("a {}", "{}"), ("{}", "a {}"), ("{}",)))
    assert one == turned != other


def test_the_automatic_set_depends_on_the_label() -> None:
    automatic = select_prompt_set()
    assert automatic.is_automatic
    assert [automatic.for_label(text, "emoji").name for text in ("cat", "猫")] == ["drawing-7", "zh-drawing-7"]


def test_templates_must_be_a_list() -> None:
    with pytest.raises(InputError, match=r"templates is the text .*; give a list"):
        select_prompt_set(templates="a {}")


def test_a_file_is_a_set_named_after_it(tmp_path: Path) -> None:
    file = tmp_path / "sketches.txt"
    file.write_text("\ufeffa sketch of {}\n\n{} in pencil\n", encoding="utf-8")
    assert select_prompt_set(f"@{file}") == PromptSet("sketches", ("a sketch of {}", "{} in pencil"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No such file"),
        (b"", "is empty; it needs one template per line"),
        (b"\xff\xfe\xff", "UTF-8 text file with one template per line"),
        (b"a photo", "once, where the label goes"),
    ],
)
def test_the_error_for_a_bad_prompt_file_names_the_reason(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "sketches.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        select_prompt_set(f"@{file}")


def test_a_set_and_templates_are_refused_together() -> None:
    with pytest.raises(InputError, match="a prompt set and templates are given; remove one"):
        select_prompt_set("photo", ["a {}"])
