from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.classify_actions import parse_all_labels
from clip_vectorizer.query.cli.search import main as search

NOWHERE = ["--weaviate-url", "http://127.0.0.1:1", "--vectorizer-url", "http://127.0.0.1:1"]


def test_labels_come_from_lists_and_files_in_the_order_given(tmp_path: Path) -> None:
    file = tmp_path / "labels.txt"
    file.write_text("\ufeffgreen apple, ripe\n\n  狗\n", encoding="utf-8")
    chinese = "苹果，猫、狗"  # noqa: RUF001 - the commas of Chinese
    expected = ["a", "b", "green apple, ripe", "  狗", "苹果", "猫", "狗"]
    assert parse_all_labels(["a,b", f"@{file}", chinese]) == expected


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ('"red, round apple",dog', ["red, round apple", "dog"]),
        ('a, "b: tall, thin / c" ', ["a", "b: tall, thin / c"]),
        ('5" disk,3" disk', ['5" disk', '3" disk']),
        ('"a" b,c', ['"a" b', "c"]),
    ],
)
def test_quotes_around_a_label_keep_its_commas(given: str, names: list[str]) -> None:
    assert parse_all_labels([given]) == names


def test_a_table_of_several_columns_is_no_list_of_labels(tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text("cat\ndog\n")
    assert parse_all_labels([f"@{tmp_path / 'one.csv'}"]) == ["cat", "dog"]
    (tmp_path / "two.CSV").write_text("label,what\ncat,an animal\n")
    with pytest.raises(InputError, match=r"two\.CSV is a table of several columns; name a text file"):
        parse_all_labels([f"@{tmp_path / 'two.CSV'}"])


def test_an_empty_label_is_kept_for_the_check_to_name() -> None:
    assert parse_all_labels(["a,,b"]) == ["a", "", "b"]


@pytest.mark.parametrize("content", [None, b"\xff\xfe\xff"])
def test_a_label_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "labels.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=r"--labels @.*labels\.txt: .*one label per line"):
        parse_all_labels([f"@{file}"])


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
