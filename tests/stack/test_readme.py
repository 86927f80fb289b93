"""The first minute of the README, typed as it stands there, and its lines of Python and GraphQL."""

import os
import re
import runpy
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from ingest.embedded import find_weaviate
from tests.documents import page
from tests.stack.support import BIN, REPOSITORY, Stack, clean_environment, run_command

pytestmark = pytest.mark.stack

README = page("README.md")
START = README.section("Start")
[PYTHON] = README.section("Python").blocks("python")
SETUP, STARTED = START.blocks("sh")  # `make demo`, then what to type
ACTIVATE = ". .venv/bin/activate"  # here by PATH
COMMANDS = START.commands("clip-demo", "clip-ingest", "clip-search", "clip-classify", ".")
SECONDS = 120
FIGURE = re.compile(r"[01]\.\d{3}")  # a similarity, which another processor rounds otherwise


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An environment with a cache of its own; the stack that the lines start ends with it."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "weaviate").symlink_to(find_weaviate())
    path = os.pathsep.join([str(BIN), str(folder), os.environ["PATH"]])
    home = {"XDG_CACHE_HOME": str(folder / "cache"), "PATH": path}
    yield home
    run_command("clip-demo", "down", env=home)


def type_in(lines: str, home: dict[str, str]) -> str:
    """What a shell prints in the repository's folder."""
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", lines],
        cwd=REPOSITORY,
        env=clean_environment() | home,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_minute_goes_as_the_readme_shows(home: dict[str, str]) -> None:
    assert STARTED.splitlines()[0] == ACTIVATE
    lines = STARTED.replace(ACTIVATE, "")
    shown = "clip-demo down"
    assert lines.rstrip().endswith(shown)
    printed = type_in(lines.rstrip().removesuffix(shown) + "clip-demo", home)  # the demo on top of what is there
    assert "fruit/red-apple.png" in printed and "animals/cat.png" in printed
    assert re.search(r"animals/panda\.png +panda", printed)
    [output] = START.blocks("text")
    for paragraph in output.split("\n\n"):
        assert contains(printed, paragraph), f"clip-demo does not print\n{paragraph}\nbut\n{printed}"
    type_in(shown, home)


def contains(printed: str, paragraph: str) -> bool:
    """Whether its words follow each other there; times are free, and a similarity may be one in a hundred off."""
    words, wanted = words_without_times(printed), words_without_times(paragraph)
    starts = range(len(words) - len(wanted) + 1)
    return any(all(map(alike, words[start : start + len(wanted)], wanted)) for start in starts)


def words_without_times(text: str) -> list[str]:
    return re.sub(r"\d+(\.\d+)?\s+(ms|s)\b", "TIME", text).split()


def alike(word: str, wanted: str) -> bool:
    if FIGURE.fullmatch(word) and FIGURE.fullmatch(wanted):
        return abs(float(word) - float(wanted)) <= 0.01
    return word == wanted


def test_the_output_of_the_demo_is_compared_word_by_word() -> None:
    assert contains("x\n0.759 fruit/a.png in 0.2 s\ny", "0.758 fruit/a.png in 0.1 s")
    assert not contains("0.759 fruit/b.png", "0.758 fruit/a.png")
    assert not contains("317 added in 0.2 s", "0 added in 0.2 s")
    assert not contains("0.859 fruit/a.png", "0.758 fruit/a.png")


def test_the_python_of_the_readme_runs(stack: Stack, examples: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(connect_to(PYTHON, stack, examples), "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("fruit/red-apple.png")
    assert len(lines) == 3 + 5


def connect_to(source: str, stack: Stack, collection: str) -> str:
    """The same program with the addresses of the test's stack in its `connect(...)`."""
    arguments = (
        f"{stack.weaviate_url!r}, grpc_port={stack.grpc_port}, api_key={stack.api_key!r}, "
        f"vectorizer_url={stack.vectorizer_url!r}, collection={collection!r}"
    )
    replaced, count = re.subn(r"ImageSearch\.connect\([^)]*\)", f"ImageSearch.connect({arguments})", source)
    assert count == 1, "the program connects in another way"
    return replaced


def test_the_graphql_of_the_readme_finds_a_guitar(stack: Stack, examples: str) -> None:
    [query] = README.section("Python").blocks("graphql")
    rows = stack.graphql(query.replace("Image(", f"{examples}("))
    assert rows[0]["path"] == "musical instruments/guitar.png"
    assert len(rows) == 3


def test_the_table_of_tasks_names_commands_that_the_pages_have() -> None:
    """So each of them runs in the tests of that page."""
    for _, command, link in README.table("you want to"):
        target = re.search(r"\]\(([^)#]+)", link)
        if command and target:
            words = shlex.split(command.strip("`"))
            lines = [shlex.split(line) for line in page(target[1]).commands(words[0])]
            assert any(line[: len(words)] == words for line in lines), command


def test_the_picture_of_the_readme_can_be_drawn_again(
    stack: Stack, examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in stack.env.items():
        monkeypatch.setenv(name, value)
    script = runpy.run_path(str(REPOSITORY / "examples" / "search_picture.py"))
    rows = script["draw_search_picture"](tmp_path / "search.png", ["--collection", examples])
    assert [row.hits[0]["path"] for row in rows] == ["fruit/red-apple.png", "animals/cat.png", "fruit/green-apple.png"]
    with Image.open(tmp_path / "search.png") as drawn, Image.open(REPOSITORY / "docs" / "search.png") as shown:
        assert drawn.size == shown.size
