"""`clip-eval` over the example drawings: the commands and figures of docs/evaluate.md, and what it refuses."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.documents import page
from tests.stack.conftest import Run
from tests.stack.support import EXAMPLES, NOWHERE, REPOSITORY, Ran, Stack, run_command

pytestmark = pytest.mark.stack

PAGE = page("docs/evaluate.md")
COMMANDS = PAGE.commands("clip-eval")
A_FEW_IMAGES = 0.01  # of 317: other processors round otherwise, and that turns a near tie
FOR_ALL = "--all"  # rows that need minutes on a busy machine are marked so, and not made here


@pytest.fixture(scope="module")
def evaluated(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """The page's line that writes a report, and the folder with it."""
    report = tmp_path_factory.mktemp("eval") / "out"
    words = [str(report) if word == "out" else word for word in words_of("--report")]
    return run(*words, "--json"), report


def words_of(option: str) -> list[str]:
    """The words of the page's one line with that word, its paths those of the repository."""
    [line] = [line for line in COMMANDS if option in line]
    return [str(REPOSITORY / word) if word.startswith("examples/") else word for word in shlex.split(line)]


def rows(ran: Ran, table: str) -> list[dict[str, Any]]:
    return [row for row in ran.rows if row["table"] == table]


def documented(section: str, first: str) -> list[list[str]]:
    """The rows of the page's table whose head begins with `first`, without those that only --all makes."""
    return [row for row in PAGE.section(section).table(first) if not any(FOR_ALL in cell for cell in row)]


def figures(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d\.\d+", cell.replace("-0", " 0"))]


def ends(row: dict[str, Any], key: str) -> list[float]:
    return [row[key], row[f"{key}_low"], row[f"{key}_high"]]


def test_the_page_has_the_accuracy_of_the_prompts(evaluated: tuple[Ran, Path]) -> None:
    found = {(row["classes"], row["language"], row["prompts"]): row for row in rows(evaluated[0], "zero-shot")}
    table = documented("Zero-shot", "classes")
    assert len(table) == 14
    for classes, language, prompts, top_1, top_5 in table:
        row = found[classes, language, prompts]
        assert figures(top_1) == pytest.approx(ends(row, "top_1"), abs=A_FEW_IMAGES)
        assert figures(top_5) == pytest.approx(ends(row, "top_5"), abs=A_FEW_IMAGES)


def test_the_page_has_the_gain_of_labelled_images(evaluated: tuple[Ran, Path]) -> None:
    found = {(row["method"], str(row["shots"])): row for row in rows(evaluated[0], "few-shot")}
    table = documented("With labelled images", "method")
    assert len(table) == 5
    for method, shots, top_1, gain in table:
        row = found[method, shots]
        assert figures(top_1) == pytest.approx(ends(row, "top_1"), abs=A_FEW_IMAGES)
        assert figures(gain)[0] == pytest.approx(abs(row["gain"]), abs=A_FEW_IMAGES)


def test_sixteen_labelled_images_a_class_are_worth_five_points(evaluated: tuple[Ran, Path]) -> None:
    [row] = [row for row in rows(evaluated[0], "few-shot") if (row["method"], row["shots"]) == ("few-shot cache", 16)]
    assert row["gain"] >= 0.05
    assert row["gain_low"] > 0


def test_the_page_has_the_recall_of_captions(evaluated: tuple[Ran, Path]) -> None:
    found = {(row["query"], row["language"], row["prompts"]): row for row in rows(evaluated[0], "retrieval")}
    table = documented("Search by caption", "query")
    assert len(table) == 4
    for query, language, prompts, *recalls in table:
        for k, cell in zip((1, 5, 10), recalls, strict=True):
            expected = ends(found[query, language, prompts], f"recall@{k}")
            assert figures(cell) == pytest.approx(expected, abs=A_FEW_IMAGES)


def test_rows_skipped_to_save_time_are_named(evaluated: tuple[Ran, Path]) -> None:
    assert "skipped to save time (--all includes them): photo-80 for 317 names in en" in evaluated[0].stderr


def test_a_report_is_written(evaluated: tuple[Ran, Path]) -> None:
    assert {file.name for file in evaluated[1].iterdir()} == {
        *("index.html", "zero-shot.png", "few-shot.png", "classes.png", "confusion.png", "recall.png")
    }
    assert "model</dt><dd>emoji" in (evaluated[1] / "index.html").read_text(encoding="utf-8")


def test_a_collection_is_as_good_as_its_folder(run: Run, examples: str, evaluated: tuple[Ran, Path]) -> None:
    stored = run(*[examples if word == "Image" else word for word in words_of("--collection")])
    folder = rows(evaluated[0], "zero-shot")[0]
    same = rows(stored, "zero-shot")[0]
    assert same["images"] == folder["images"]
    assert same["top_1"] == pytest.approx(folder["top_1"], abs=A_FEW_IMAGES)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    for name in ("fruit/banana", "fruit/mango", "birds/owl", "birds/penguin"):
        for file in (EXAMPLES / f"{name}.png", EXAMPLES / f"{name}.txt"):
            (tmp_path / file.parent.name).mkdir(exist_ok=True)
            shutil.copy(file, tmp_path / file.parent.name)
    return tmp_path


def test_a_file_that_is_no_image_is_named_and_the_rest_measured(run: Run, small: Path) -> None:
    (small / "fruit" / "broken.png").write_bytes(b"nonsense")
    ran = run("clip-eval", small, "--json", expect=3)
    assert "fruit/broken.png: a text file, not an image" in ran.stderr
    assert rows(ran, "zero-shot")[0]["images"] == 4


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such folder"),
        ([], "Usage"),
        (["run"], "nothing to evaluate; add a FOLDER"),
        (["run", "x", "--collection", "y"], "FOLDER does not work with --collection"),
        (["--collection", "Nothing"], "holds no collection"),
    ],
)
def test_an_impossible_evaluation_is_a_usage_error(run: Run, examples: str, words: list[str], message: str) -> None:
    refused = run("clip-eval", *words, expect=2)
    assert message in refused.stderr


def test_a_folder_of_one_class_is_a_usage_error(run: Run, small: Path) -> None:
    shutil.rmtree(small / "birds")
    assert "all images are of one class, 'fruit'" in run("clip-eval", small, expect=2).stderr


def test_a_missing_sidecar_is_an_error(run: Run, small: Path) -> None:
    assert "no sidecar answers" in run("clip-eval", small, "--vectorizer-url", NOWHERE, expect=4).stderr


def test_a_model_started_for_it_does_not_differ_from_the_same_that_runs(run: Run, stack: Stack, small: Path) -> None:
    own = {str(EXAMPLES): str(small), "http://localhost:9090": stack.vectorizer_url}
    words = [own.get(word, word) for word in words_of("compare")]
    assert set(own.values()) <= set(words), "the page compares something else"
    ran = run(*words, "--json")
    assert {row["measure"] for row in ran.rows} >= {"top-1", "recall@1"}
    assert all(row["verdict"] == "no significant difference on these 4 images" for row in ran.rows[:2])


def test_a_model_that_does_not_start_is_an_error_with_its_reason(run: Run, small: Path) -> None:
    refused = run("clip-eval", "compare", "local-dir:nowhere", "emoji", small, expect=1)
    assert "the sidecar with local-dir:nowhere did not start" in refused.stderr
    assert "nowhere" in refused.stderr.split("log:")[1]


def test_the_index_finds_nearly_all_neighbours_and_leaves_nothing_behind(run: Run, stack: Stack, examples: str) -> None:
    few = ("--collection", examples, "--vectors", "600", "--queries", "50", "--json")
    ran = run(*words_of("index"), *few)
    assert [row["quantizer"] for row in ran.rows] == ["none", "rq-8", "rq-1", "pq"]
    assert all(row["recall@10"] >= 0.9 and row["vectors"] == 600 for row in ran.rows)
    assert ran.rows[1]["recall@10"] >= 0.98
    assert all(0 < row["p50_ms"] <= row["p95_ms"] for row in ran.rows)
    assert "ClipEvalIndex" not in json.dumps(stack.weaviate("GET", "/v1/schema").json())


def test_every_line_of_the_page_is_run_here(stack: Stack, evaluated: tuple[Ran, Path]) -> None:
    """Most are run by the tests above; the shortest one prints tables for people."""
    options = ("--report", "--collection", "index", "compare")
    [plain] = [line for line in COMMANDS if not any(option in line for option in options)]
    assert len(COMMANDS) == 1 + len([words_of(option) for option in options])
    words = [str(REPOSITORY / word) if "/" in word else word for word in plain.split()]
    printed = run_command(*words, env=stack.env, expect=0).stdout  # as a user starts it
    first = rows(evaluated[0], "zero-shot")[0]
    assert first["prompts"] in printed
    assert f"{first['top_1']:.3f} ({first['top_1_low']:.3f}-{first['top_1_high']:.3f})" in printed
