import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ingest.cli import main


def run(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"VECTORIZER_URL": "", "WEAVIATE_API_KEY": ""} | env)


def test_help_holds_an_example_the_variables_and_the_exit_codes() -> None:
    text = run("--help").output
    for part in ("clip-ingest examples/images", "WEAVIATE_URL", "WEAVIATE_GRPC_PORT", "Exit codes", "--collection"):
        assert part in text


def test_no_source_is_a_usage_error() -> None:
    assert run().exit_code == 2


def test_an_empty_source_is_not_taken_for_the_present_folder() -> None:
    result = run("")
    assert result.exit_code == 2
    assert "a SOURCE is empty" in result.stderr


@pytest.mark.parametrize("name", ["empty", "missing"])
def test_a_source_without_images_is_told_before_weaviate_is_asked(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    result = run(str(tmp_path / name), WEAVIATE_URL="http://127.0.0.1:9")
    assert result.exit_code == 2 and result.stderr.startswith(f"error: {tmp_path}/{name}: no ") and not result.stdout


def test_an_unreachable_weaviate_is_exit_4_with_its_url(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    result = run(str(tmp_path), "--json", WEAVIATE_URL=url)
    assert result.exit_code == 4 and f"no Weaviate answers at {url}" in result.stderr and not result.stdout


def test_a_url_that_cannot_be_one_is_exit_2(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"")
    result = run(str(tmp_path), WEAVIATE_URL="localhost:8080")
    assert result.exit_code == 2 and "WEAVIATE_URL='localhost:8080'" in result.stderr
