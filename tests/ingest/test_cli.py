import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clip_vectorizer.errors import InputError, VectorizerError, WeaviateUnreachable
from ingest.cli import main
from ingest.command import print_report, print_report_on_error
from ingest.near_duplicates import NearDuplicateGroup
from ingest.report import IngestReport
from tests.ingest.fakes import png, write


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


def test_a_missing_source_is_reported_before_weaviate_is_contacted(tmp_path: Path) -> None:
    result = run(str(tmp_path / "missing"), WEAVIATE_URL="http://127.0.0.1:9")
    assert result.exit_code == 2 and result.stderr.startswith(f"error: {tmp_path}/missing: no ") and not result.stdout


def test_an_unreachable_weaviate_is_exit_4_with_its_url(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    result = run(str(tmp_path), "--json", "--patience", "0", WEAVIATE_URL=url)
    assert result.exit_code == 4 and f"no Weaviate answers at {url}" in result.stderr
    assert url in json.loads(result.stdout)["error"]


def test_a_url_that_cannot_be_one_is_exit_2(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    result = run(str(tmp_path), WEAVIATE_URL="localhost:8080")
    assert result.exit_code == 2 and "WEAVIATE_URL='localhost:8080'" in result.stderr


def test_an_unwritable_report_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    write(tmp_path / "x.png", png())
    result = run(str(tmp_path), "--report", str(tmp_path / "nowhere" / "r.jsonl"), WEAVIATE_URL="http://127.0.0.1:9")
    assert result.exit_code == 2 and "--report" in result.stderr and not result.stdout


REPORT = IngestReport(seen=1, complete=True, added=1, near_duplicates=[NearDuplicateGroup(("a\x1b[2J", "猫"))])
ABOUT = {"collection": "ClipImage", "model": "emoji", "dry_run": False}


def test_the_summary_names_the_collection_and_the_images_that_look_alike(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(REPORT, False, ABOUT)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("1 image: 1 added") and first.endswith(" -> ClipImage")
    assert second == "alike: a\\x1b[2J  猫"


def test_a_dry_run_prints_that_nothing_was_written(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(REPORT, False, ABOUT | {"dry_run": True})
    assert capsys.readouterr().out.splitlines()[0].endswith(" -> ClipImage (a dry run: nothing was written)")


def test_json_is_one_object_with_the_numbers_and_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(REPORT, True, ABOUT)
    printed = json.loads(capsys.readouterr().out)
    assert (printed["added"], printed["model"], printed["near_duplicates"][0]["paths"]) == (
        1,
        "emoji",
        ["a\x1b[2J", "猫"],
    )


@pytest.mark.parametrize(
    ("error", "words"), [(WeaviateUnreachable("away"), "away"), (KeyboardInterrupt(), "interrupted")]
)
def test_json_has_the_counts_also_after_an_error(
    capsys: pytest.CaptureFixture[str], error: BaseException, words: str
) -> None:
    with pytest.raises(type(error)), print_report_on_error(REPORT, as_json=True):
        raise error
    printed = json.loads(capsys.readouterr().out)
    assert printed["error"] == words and printed["added"] == 1


@pytest.mark.parametrize(
    ("error", "as_json"), [(InputError("no such folder"), True), (WeaviateUnreachable("away"), False)]
)
def test_stdout_is_empty_after_wrong_usage_or_without_json(
    error: VectorizerError, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(type(error)), print_report_on_error(REPORT, as_json):
        raise error
    assert not capsys.readouterr().out
