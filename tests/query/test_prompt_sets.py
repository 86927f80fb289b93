from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.prompts import PROMPTS, PromptSet, select_prompt_set


def test_a_set_of_ours_has_its_name_and_templates() -> None:
    assert select_prompt_set("photo-7") == PromptSet("photo-7", PROMPTS["photo-7"])


def test_a_version_is_of_the_templates_in_any_order() -> None:
    one, turned, other = (PromptSet("x", templates).version for templates in (("a {}", "{}"), ("{}", "a {}"), ("{}",)))
    assert one == turned != other


def test_nothing_given_chooses_for_each_label() -> None:
    automatic = select_prompt_set()
    assert automatic.is_automatic
    assert [automatic.for_label(text, "emoji").name for text in ("cat", "猫")] == ["drawing-7", "zh-drawing-7"]


def test_one_text_is_no_list_of_templates() -> None:
    with pytest.raises(InputError, match=r"templates is the text .*; give a list"):
        select_prompt_set(templates="a {}")


def test_a_file_is_a_set_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / "sketches.txt"
    file.write_text("\ufeffa sketch of {}\n\n{} in pencil\n", encoding="utf-8")
    assert select_prompt_set(f"@{file}") == PromptSet("sketches", ("a sketch of {}", "{} in pencil"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "No such file"),
        (b"", "holds nothing; it needs one template a line"),
        (b"\xff\xfe\xff", "UTF-8 text file with one template a line"),
        (b"a photo", "once, where the label goes"),
    ],
)
def test_a_file_that_is_no_prompt_set_is_named(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    file = tmp_path / "sketches.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        select_prompt_set(f"@{file}")


def test_a_set_and_templates_exclude_each_other() -> None:
    with pytest.raises(InputError, match="a prompt set and templates are given"):
        select_prompt_set("photo", ["a {}"])
