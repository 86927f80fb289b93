"""Keys from files: what a file holds, which mistakes are refused by name, and that no message shows a secret."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clip_vectorizer.common_options import api_key_option, vectorizer_key_option
from clip_vectorizer.errors import SettingsError
from clip_vectorizer.secret_files import MAX_SECRET_BYTES, read_secret
from tests.stack.support import run_command

SECRET = "s3cret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(f"{SECRET}\n")
    return path


def test_the_variable_the_file_or_neither(file: Path) -> None:
    assert read_secret({}, "KEY") == ""
    assert read_secret({"KEY": "k", "KEY_FILE": ""}, "KEY") == "k"
    assert read_secret({"KEY_FILE": str(file)}, "KEY") == SECRET


def test_both_are_refused(file: Path) -> None:
    with pytest.raises(SettingsError, match="KEY and KEY_FILE are both set") as refused:
        read_secret({"KEY": "k-in-variable", "KEY_FILE": str(file)}, "KEY")
    assert SECRET not in str(refused.value) and "k-in-variable" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\xff\xfe", "not a text file"),
        (b"x" * (MAX_SECRET_BYTES + 1), "too large"),
    ],
)
def test_a_file_that_holds_no_key_is_refused_by_its_path(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=reason) as refused:
        read_secret({"KEY_FILE": str(path)}, "KEY")
    assert "KEY_FILE" in str(refused.value) and str(path) in str(refused.value)


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="directory"):
        read_secret({"KEY_FILE": str(tmp_path)}, "KEY")


@click.command()
@api_key_option
@vectorizer_key_option
def show(weaviate_api_key: str | None, vectorizer_api_key: str | None) -> None:
    click.echo(f"{weaviate_api_key} {vectorizer_api_key}")


def test_commands_take_their_keys_from_files(file: Path) -> None:
    env = {"WEAVIATE_API_KEY_FILE": str(file), "VECTORIZER_API_KEY_FILE": str(file)}
    assert CliRunner().invoke(show, [], env=env).output == f"{SECRET} {SECRET}\n"
    assert CliRunner().invoke(show, ["--weaviate-api-key", "given"], env=env).output == f"given {SECRET}\n"


def test_a_command_whose_key_cannot_be_read_ends_with_2(tmp_path: Path) -> None:
    ran = run_command("clip-search", "an owl", env={"WEAVIATE_API_KEY_FILE": str(tmp_path / "missing")}, expect=2)
    assert "WEAVIATE_API_KEY_FILE" in ran.stderr and not ran.stdout


def test_a_sidecar_whose_password_cannot_be_read_does_not_start(tmp_path: Path) -> None:
    env = {"CLIP_BASIC_AUTH_FILE": str(tmp_path / "missing")}
    ran = run_command("clip-vectorizer", "serve", "--port", "0", env=env, expect=2)
    assert "CLIP_BASIC_AUTH_FILE" in ran.stderr
