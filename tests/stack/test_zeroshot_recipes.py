"""The README's ways of classifying, and those of `clip-classify --help`, run as they are written there."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from clip_vectorizer.query.cli.classify import HELP
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.search import main as search
from tests.stack.support import EXAMPLES, REPOSITORY, Stack

pytestmark = pytest.mark.stack

COMMANDS: dict[str, click.Command] = {"clip-classify": classify, "clip-search": search}
SECTION = (REPOSITORY / "README.md").read_text().partition("## Zero-shot classification")[2].partition("\n## ")[0]
RECIPES = [line.partition("  #")[0].strip() for line in SECTION.splitlines() if line.startswith("    clip-")]
PYTHON = SECTION.partition("```python\n")[2].partition("```")[0]
HELPED = [line.strip() for line in HELP.splitlines() if line.startswith("  clip-classify")]
FRUIT = len(list((EXAMPLES / "fruit").glob("*.png")))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside the examples, with what the lines read."""
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    (tmp_path / "labels.txt").write_text("fruit\ndrinks\n工具\n", encoding="utf-8")
    (tmp_path / "sketches.txt").write_text("a sketch of {}\n{} in pencil\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(line: str, stack: Stack, examples: str) -> Result:
    name, *words = shlex.split(line)
    done = CliRunner().invoke(COMMANDS[name], [*expanded(words), "--collection", examples], env=stack.env)
    assert done.exit_code == 0, f"{line}\n{done.stderr}"
    return done


def expanded(words: Sequence[str]) -> list[str]:
    """As a shell does it."""
    return [name for word in words for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]


def test_all_the_recipes_are_here() -> None:
    assert len(RECIPES) >= 16 and len(HELPED) >= 7


@pytest.mark.usefixtures("home")
def test_every_line_of_the_readme_does_what_it_says_one_after_the_other(stack: Stack, examples: str) -> None:
    told = {line: ran(line, stack, examples) for line in RECIPES}
    rows = {line: len(done.stdout.splitlines()) - 1 for line, done in told.items()}
    [files] = [rows[line] for line in RECIPES if "fruit/*.png" in line]
    [few] = [rows[line] for line in RECIPES if "--limit 5" in line and "--query" not in line]
    [found] = [rows[line] for line in RECIPES if "--query" in line]
    assert (files, few, found) == (FRUIT, 5, 50)
    [threshold] = [done.stderr for line, done in told.items() if "--other-from" in line]
    assert "balanced accuracy" in threshold
    [filtered] = [done.stdout for line, done in told.items() if line.startswith("clip-search")]
    assert filtered.count("fruit/")


@pytest.mark.usefixtures("home")
def test_every_line_of_the_help_runs(stack: Stack, examples: str) -> None:
    for line in HELPED:
        assert ran(line, stack, examples).stdout


def test_the_python_lines_run(
    stack: Stack, examples: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = f"{stack.weaviate_url!r}, {stack.grpc_port}, {stack.api_key!r}, {stack.vectorizer_url!r}, {examples!r}"
    exec(compile(PYTHON.replace("connect()", f"connect({address})"), "README.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == len(list(EXAMPLES.rglob("*.png"))) + 50
