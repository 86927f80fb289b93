"""The README's ways of searching, and those of `clip-search --help`, run as they are written there."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clip_vectorizer.query.cli.search import HELP, main
from tests.stack.support import EXAMPLES, REPOSITORY, Stack

pytestmark = pytest.mark.stack

SECTION = (REPOSITORY / "README.md").read_text().partition("## Searching")[2].partition("\n## ")[0]
RECIPES = [line.partition("  #")[0].strip() for line in SECTION.splitlines() if line.startswith("    clip-search")]
PYTHON = SECTION.partition("```python\n")[2].partition("```")[0]
HELPED = [line.strip() for line in HELP.splitlines() if line.startswith("  clip-search")]
# What the first of the answer must be; the others only have to answer.
FIRST = {
    'clip-search "a red apple"': "fruit/red-apple.png",
    "clip-search red apple": "fruit/red-apple.png",
    "clip-search --image examples/images/animals/cat.png": "animals/cat.png",
    "clip-search --image examples/images/fruit/red-apple.png --plus green --minus red": "fruit/green-apple.png",
    "clip-search --like fruit/red-apple.png --plus green --minus red": "fruit/green-apple.png",
    'clip-search "ripe mango" --captions 0.5': "fruit/mango.png",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside the examples, for what the lines write."""
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def searched(line: str, stack: Stack, examples: str) -> Result:
    words = [*shlex.split(line)[1:], "--collection", examples]
    ran = CliRunner().invoke(main, words, env=stack.env)
    assert ran.exit_code == 0, ran.stderr
    assert "nothing found" not in ran.stderr
    return ran


def test_all_the_recipes_are_here() -> None:
    assert len(RECIPES) >= 14 and 8 <= len(HELPED) <= 10
    assert any('"horse + stripes - fruit"' in line for line in HELPED)


@pytest.mark.parametrize("line", dict.fromkeys([*RECIPES, *HELPED]))
def test_a_recipe_does_what_it_says(line: str, home: Path, stack: Stack, examples: str) -> None:
    command, _, then = line.partition(" | ")
    ran = searched(command, stack, examples)
    if then:
        listed = subprocess.run(["bash", "-c", then], input=ran.stdout_bytes, capture_output=True, check=True)
        assert len(listed.stdout.splitlines()) == 10
    elif file := re.search(r"--html (\S+)", line):
        assert (home / file[1]).read_text().count("<img ") == 10
    elif "--explain" in line:
        assert "collection.query.near_text(" in ran.stdout and "nearText" in ran.stdout
    elif "--json" in line:
        rows = list(map(json.loads, ran.stdout.splitlines()))
        assert rows and all((EXAMPLES / row["path"]).is_file() for row in rows)
    elif "--similar-strings" in line:
        assert ran.stdout.splitlines()[1].split() == ["1", "vegetables"]
    else:
        head, first, *_ = ran.stdout.splitlines()
        assert "similarity" in head and FIRST.get(line, "") in first


def test_the_python_of_the_readme_runs(
    home: Path, stack: Stack, examples: str, capsys: pytest.CaptureFixture[str]
) -> None:
    here = (stack.weaviate_url, stack.grpc_port, stack.api_key, stack.vectorizer_url, examples)
    there = 'connect("http://localhost:8080", vectorizer_url="http://localhost:9090")'
    source = PYTHON.replace(there, f"connect{here!r}")
    assert examples in source, "the README connects in another way now"
    exec(source, {})
    printed = capsys.readouterr().out
    assert printed.count("animals/") == 5 and "collection.query.near_vector(" in printed
