"""The documented ways of searching, and those of `clip-search --help`: each runs as it is written there."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clip_vectorizer.query.cli.search import HELP, main
from tests.documents import page
from tests.stack.support import EXAMPLES, REPOSITORY, Stack
from tests.stack.test_readme import connect_to

pytestmark = pytest.mark.stack

SECTIONS = [page("README.md").section("Search"), page("docs/search.md")]
COMMANDS = list(dict.fromkeys(line for section in SECTIONS for line in section.commands("clip-search")))
[PYTHON] = page("docs/search.md").blocks("python")
HELPED = [
    line.strip()
    for line in HELP.splitlines()
    if line.startswith("  clip-search") and not {"--regions", "--saved"} & set(line.split())
]
# What the first of the results must be; the others only have to find something.
FIRST = {
    'clip-search "a red apple"': "fruit/red-apple.png",
    'clip-search "apple + green - red"': "fruit/green-apple.png",
    "clip-search red apple": "fruit/red-apple.png",
    "clip-search 草莓 --limit 3": "fruit/strawberry.png",
    "clip-search --image examples/images/animals/cat.png": "animals/cat.png",
    "clip-search --image examples/images/fruit/red-apple.png --plus green --minus red": "fruit/green-apple.png",
    "clip-search --like fruit/red-apple.png --plus green --minus red": "fruit/green-apple.png",
    'clip-search "ripe mango" --captions 0.5': "fruit/mango.png",
}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder next to the examples, for the files that the lines write."""
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def search(line: str, stack: Stack, examples: str) -> Result:
    words = [*shlex.split(line)[1:], "--collection", examples]
    ran = CliRunner().invoke(main, words, env=stack.env)
    assert ran.exit_code == 0, ran.stderr
    assert "nothing found" not in ran.stderr
    return ran


def test_the_pages_have_all_the_recipes() -> None:
    assert len(COMMANDS) >= 20 and 8 <= len(HELPED) <= 12
    assert FIRST.keys() <= {*COMMANDS, *HELPED}
    assert any('"horse + stripes - fruit"' in line for line in HELPED)


@pytest.mark.parametrize("line", dict.fromkeys([*COMMANDS, *HELPED]))
def test_a_recipe_finds_what_it_names(line: str, home: Path, stack: Stack, examples: str) -> None:
    command, _, then = line.partition(" | ")
    ran = search(command, stack, examples)
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
    elif "--newest" in line:
        assert len(ran.stdout.splitlines()) == 1 + 20
    elif "--list" in line:
        assert ran.stdout.count("fruit/") == len(list((EXAMPLES / "fruit").glob("*.png")))
    else:
        head, first, *_ = ran.stdout.splitlines()
        assert "similarity" in head and FIRST.get(line, "") in first


@pytest.mark.usefixtures("home")
def test_the_python_of_the_page_runs(stack: Stack, examples: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(connect_to(PYTHON, stack, examples), "docs/search.md", "exec"), {})
    printed = capsys.readouterr().out
    assert printed.count("animals/") == 5 and "collection.query.near_vector(" in printed


FILTERS = [cell for row in page("docs/search.md").table("filter") for cell in re.findall(r"`([^`]+)`", row[0])]


def test_the_page_has_filters_of_every_kind() -> None:
    assert {operator for text in FILTERS for operator in re.findall(r"!=|<=|>=|[=<>~?]|^!", text)} == {
        *("=", "!=", "<", "<=", ">", ">=", "~", "?", "!")
    }
