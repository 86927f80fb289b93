"""`clip-eval limits` with the bundled model: the commands and figures of docs/limits.md, and what it refuses."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.documents import page
from tests.query.evaluation.test_limits_page import SHARE_TABLES, block, read_table
from tests.stack.conftest import Run
from tests.stack.support import EXAMPLES, NOWHERE, REPOSITORY, Ran, Stack, run_command

pytestmark = pytest.mark.stack

PAGE = page("docs/limits.md")
COMMANDS = PAGE.commands("clip-eval")
A_FEW_PICTURES = 3  # other processors round otherwise, and that turns a near tie
BUSY_SECONDS = 900  # some 20 on two free cores
FEW = ("--images", "40", "--task", "wording", "--task", "counting")


@pytest.fixture(scope="module")
def measured(run: Run, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """The page's line that writes a report, and the folder with it."""
    report = tmp_path_factory.mktemp("limits") / "out"
    own = {"http://localhost:9090": stack.vectorizer_url, "out": str(report)}
    [line] = [line for line in COMMANDS if "--report" in line]
    words = [own.get(word, word) for word in words_of(line)]
    return run(*words, "--json"), report


def words_of(line: str) -> list[str]:
    """The words of a line of the page, its paths those of the repository."""
    return [str(REPOSITORY / word) if word.startswith("examples/") else word for word in shlex.split(line)]


def rows(ran: Ran, table: str) -> list[dict[str, Any]]:
    return [row for row in ran.rows if row["table"] == table]


@pytest.mark.parametrize("name", SHARE_TABLES)
def test_the_page_has_the_shares_of_the_bundled_model(measured: tuple[Ran, Path], name: str) -> None:
    """After a new model: `python benchmarks/limits.py --write`."""
    found = {row["task"]: row for row in rows(measured[0], name)}
    written = read_table(block(name))
    assert len(written) == len(found)
    for row in written:
        same = found[row["task"]]
        right = float(row["right"].split()[0])
        assert right == pytest.approx(same["right"], abs=0.0005 + A_FEW_PICTURES / same["pictures"]), row["task"]
        assert (float(row["chance"]), int(row["pictures"])) == (round(same["chance"], 3), same["pictures"])


def test_the_model_names_most_drawings_with_some_wording_and_is_better_with_unlike_names(
    measured: tuple[Ran, Path],
) -> None:
    assert max(row["right"] for row in rows(measured[0], "wording")) > 0.4
    alike, unlike = rows(measured[0], "look-alikes")
    assert alike["verdict"] == unlike["verdict"] == "above"
    assert unlike["right"] > alike["right"]


def test_its_features_are_worth_more_than_its_texts_on_digits(measured: tuple[Ran, Path]) -> None:
    shares = {row["task"]: row["right"] for row in rows(measured[0], "digits")}
    assert shares["regression, pixels"] > 0.9
    assert shares["regression, features"] > shares["zero-shot, figures"] + 0.2


def test_a_report_is_written(measured: tuple[Ran, Path]) -> None:
    plots = {f"{name}.png" for name in (*SHARE_TABLES, "differences", "counting-confusion")}
    scenes = {"counting-scenes.png", "places-scenes.png"}
    assert {file.name for file in measured[1].iterdir()} == {"index.html", *plots, *scenes}
    assert "Limits of emoji" in (measured[1] / "index.html").read_text(encoding="utf-8")


def test_the_other_lines_of_the_page_run(run: Run, stack: Stack) -> None:
    """With fewer images than the page says; one line starts the model, the others use the one that runs."""

    def served(line: str) -> list[str]:
        return [stack.vectorizer_url if word == "emoji" else word for word in words_of(line)]

    [plain, _, chinese, digits] = COMMANDS
    printed = run_command(*words_of(plain), *FEW, timeout=BUSY_SECONDS, expect=0)
    assert "how many" in printed.stdout and "best less worst" in printed.stdout
    assert "40 images of" in printed.stderr
    assert max(map(len, printed.stdout.splitlines())) <= 80
    ran = run(*served(chinese), *FEW)
    assert {"这是…", "图中有…"} <= {row["task"] for row in rows(ran, "wording")}
    assert "regression, features" in run(*served(digits)).stdout


@pytest.fixture
def few(tmp_path: Path) -> Path:
    for folder in ("fruit", "birds"):
        shutil.copytree(EXAMPLES / folder, tmp_path / folder)
    return tmp_path


def test_a_broken_image_is_named_and_the_rest_measured(run: Run, stack: Stack, few: Path) -> None:
    (few / "fruit" / "banana.png").write_bytes(b"nonsense")
    ran = run("clip-eval", "limits", stack.vectorizer_url, few, "--task", "counting", "--json", expect=3)
    assert "fruit/banana.png: a text file, not an image; left out" in ran.stderr
    assert len(rows(ran, "counting")) == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["emoji"], "nothing to compose scenes from; add a FOLDER"),
        (["emoji", "nowhere"], "no such folder"),
        (["emoji", "x", "--task", "digits"], "FOLDER is not used: the digits come with scikit-learn; remove it"),
        (["emoji", "--task", "digits", "--images", "5"], "--images is about the images of a folder"),
        (["emoji", EXAMPLES, "--images", "5"], "at least 10 are needed"),
        ([NOWHERE, EXAMPLES], "no sidecar answers"),
    ],
)
def test_what_cannot_be_measured_is_refused(run: Run, words: list[str], message: str) -> None:
    expected = 4 if words[0] == NOWHERE else 2
    assert message in run("clip-eval", "limits", *words, expect=expected).stderr
