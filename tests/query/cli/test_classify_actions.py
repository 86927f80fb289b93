import json
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clip_vectorizer.errors import InputError, WeaviateUnreachable
from clip_vectorizer.image_files import IMAGE_SUFFIXES
from clip_vectorizer.query import Classification
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.classify_actions import (
    list_threshold_images,
    show_classifications,
    skip_unreadable,
)
from clip_vectorizer.query.cli.search import main as search

NOWHERE = ["--weaviate-url", "http://127.0.0.1:1", "--vectorizer-url", "http://127.0.0.1:1"]
GOOD = Classification("a.png", "cat", 0.75, 0.5, "dog", similarity=0.25, id="id-1")
BAD = Classification("b.png", error="not an image")


@pytest.mark.parametrize("command", [search, classify])
def test_help_shows_examples(command: click.Command) -> None:
    shown = CliRunner().invoke(command, ["--help"])
    assert shown.exit_code == 0
    assert f"{command.name} " in shown.output.partition("Examples:")[2]


@pytest.mark.parametrize("arguments", [[], ["apple", "--image", "apple.png"], ["apple", "--limit", "0"]])
def test_a_search_for_nothing_or_for_two_things_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(search, arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--labels", "a,b", "--prompts", "none-such"],
        ["--labels", "a,b", "--prompts", "photo", "--template", "a {}"],
        ["--labels", "@none-such"],
        ["--labels", "a,b", "--other", "0.3", "--other-from", "."],
    ],
)
def test_labels_or_prompts_that_cannot_be_used_are_usage_errors(arguments: list[str]) -> None:
    assert CliRunner().invoke(classify, arguments).exit_code == 2


@pytest.mark.parametrize(("command", "arguments"), [(search, ["apple"]), (classify, ["--labels", "a,b"])])
def test_an_unreachable_weaviate_is_exit_code_4_and_a_sentence(command: click.Command, arguments: list[str]) -> None:
    ended = CliRunner().invoke(command, [*arguments, *NOWHERE])
    assert ended.exit_code == 4
    assert ended.stdout == "" and ended.stderr.startswith("error: no Weaviate answers at http://127.0.0.1:1")


def test_other_from_takes_every_image_suffix_in_any_case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "cat" / f"{number}{suffix}" for number, suffix in enumerate((*IMAGE_SUFFIXES, ".JFIF"))]
    (tmp_path / "cat").mkdir()
    for file in files:
        file.touch()
    assert list_threshold_images(tmp_path) == sorted(files)
    assert capsys.readouterr().err == ""


def test_other_from_counts_the_files_that_it_skips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a.avif", "b.heic", "c.txt", "README", "\x1b[31m.x\x1b"):
        (tmp_path / name).touch()
    assert list_threshold_images(tmp_path) == [tmp_path / "a.avif"]
    message = capsys.readouterr().err
    assert message.startswith(f"--other-from {tmp_path}: 4 other files skipped (") and ".heic 1" in message
    assert "\x1b" not in message


def test_other_from_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.heic").touch()
    with pytest.raises(InputError, match="no images there; name a folder of folders of images"):
        list_threshold_images(tmp_path)


def show(*results: Classification, as_json: bool = False, why_nothing: str = "the collection is empty") -> int:
    return show_classifications((each for each in results), as_json, why_nothing)


def test_a_score_too_low_for_three_digits_is_shown_with_its_power(capsys: pytest.CaptureFixture[str]) -> None:
    show(GOOD, replace(GOOD, score=2.04e-5, margin=1.96e-5))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["a.png", "cat", "0.750", "0.500", "dog"] in rows and ["a.png", "cat", "2e-05", "2e-05", "dog"] in rows


def test_json_lines_have_the_same_keys_for_failures(capsys: pytest.CaptureFixture[str]) -> None:
    failed = show(GOOD, BAD, as_json=True)
    out, err = capsys.readouterr()
    good, bad = map(json.loads, out.splitlines())
    assert list(good)[:5] == ["path", "label", "score", "margin", "runner_up"]
    assert good == {
        **{"path": "a.png", "label": "cat", "score": 0.75, "margin": 0.5, "runner_up": "dog"},
        **{"similarity": 0.25, "id": "id-1"},
    }
    assert bad == {**dict.fromkeys(good), "path": "b.png", "id": "", "error": "not an image"}
    assert failed == 1 and err.splitlines() == ["b.png: not an image", "1 of 2 images could not be classified"]


def test_a_table_shows_what_could_be_classified(capsys: pytest.CaptureFixture[str]) -> None:
    show(BAD, GOOD)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["path", "label", "score", "margin", "runner-up"],
        ["a.png", "cat", "0.750", "0.500", "dog"],
    ]


def test_nothing_to_classify_prints_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert show(why_nothing="no image is left by --where") == 0
    assert capsys.readouterr().err == "nothing to classify: no image is left by --where\n"


def test_a_run_that_ends_early_prints_its_results_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> Generator[Classification]:
        yield GOOD
        raise WeaviateUnreachable("gone")

    with pytest.raises(WeaviateUnreachable):
        show_classifications(failing(), as_json=False, why_nothing="")
    assert "a.png" in capsys.readouterr().out


def test_a_file_name_cannot_control_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = Classification("\x1b[31mred\n.png", error="broken")
    show(evil)
    assert skip_unreadable([evil, GOOD]) == [GOOD]
    err = capsys.readouterr().err
    assert err.startswith(r"\x1b[31mred\n.png: broken") and r"--other-from: \x1b[31mred\n.png: broken" in err
    assert "\x1b" not in err
