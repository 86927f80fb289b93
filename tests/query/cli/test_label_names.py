"""Names of labels in options."""

from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.cli.label_names import parse_all_labels


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
