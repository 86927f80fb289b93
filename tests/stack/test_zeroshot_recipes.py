"""The documented ways of classifying, and those of `clip-classify --help`: each runs as it is written there."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.query.adapt.linear_probe import LinearProbe
from clip_vectorizer.query.adapt.probe_file import ProbeAccuracy, TrainedProbe
from clip_vectorizer.query.cli.classify import HELP
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.search import main as search
from clip_vectorizer.query.prompts import PROMPTS
from tests.documents import page
from tests.stack.support import EXAMPLES, REPOSITORY, Stack
from tests.stack.test_readme import connect_to

pytestmark = pytest.mark.stack

PROGRAMS: dict[str, click.Command] = {"clip-classify": classify, "clip-search": search}
SECTIONS = [page("README.md").section("Classify"), page("docs/classify.md")]
COMMANDS = list(dict.fromkeys(line for section in SECTIONS for line in section.commands(*PROGRAMS)))
[PYTHON] = page("docs/classify.md").blocks("python")
HELPED = [line.strip() for line in HELP.splitlines() if line.startswith("  clip-classify")]
FRUIT = len(list((EXAMPLES / "fruit").glob("*.png")))


@pytest.fixture(scope="module")
def probe(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A linear probe on the vectors of the sidecar, as `clip-vectorizer train linear-probe` writes it."""
    files = [sorted((EXAMPLES / label).glob("*.png"))[:4] for label in ("drinks", "fruit")]
    with VectorizerClient(stack.vectorizer_url) as client:
        vectors = client.embed_images([file.read_bytes() for group in files for file in group])
        model = StoredModel.of(client.meta())
    fitted = LinearProbe.fit_with(vectors, np.repeat([0, 1], 4), 10.0)
    file = tmp_path_factory.mktemp("probe") / "kinds.npz"
    TrainedProbe(fitted, ("drinks", "fruit"), model, ProbeAccuracy(1, 1, 0.0, 1.0, 0.5)).save(file)
    return file


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, probe: Path) -> Path:
    """A folder next to the examples, with the files that the lines read."""
    (tmp_path / "kinds.npz").symlink_to(probe)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    (tmp_path / "labels.txt").write_text("fruit\ndrinks\n工具\n", encoding="utf-8")
    (tmp_path / "sketches.txt").write_text("a sketch of {}\n{} in pencil\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str, stack: Stack, examples: str) -> Result:
    name, *words = shlex.split(line)
    expanded = expand(words)
    collection = [] if reads_only_files(expanded) else ["--collection", examples]
    done = CliRunner().invoke(PROGRAMS[name], [*expanded, *collection], env=stack.env)
    assert done.exit_code == 0, f"{line}\n{done.stderr}"
    return done


def reads_only_files(words: Sequence[str]) -> bool:
    """Whether files are classified without images of the collection; --collection is refused then."""
    uses_property = set(words) & {"--few-shot", "--linear-probe"} and "kinds.npz" not in words
    return any(word.endswith(".png") for word in words) and not uses_property


def expand(words: Sequence[str]) -> list[str]:
    """Patterns of files, as a shell expands them."""
    return [name for word in words for name in (sorted(map(str, Path().glob(word))) if "*" in word else [word])]


def test_the_pages_have_all_the_recipes() -> None:
    assert len(COMMANDS) >= 20 and len(HELPED) >= 7


def test_the_page_lists_every_set_of_prompts() -> None:
    listed = {name.strip("`") for row in page("docs/classify.md").table("name") for name in row[0].split(", ")}
    assert listed == {"(default)", *PROMPTS}


@pytest.mark.usefixtures("home")
def test_every_line_of_the_pages_runs_one_after_the_other(stack: Stack, examples: str) -> None:
    done = {line: run(line, stack, examples) for line in COMMANDS}
    rows = {line: len(result.stdout.splitlines()) - 1 for line, result in done.items()}
    [files] = {rows[line] for line in COMMANDS if "fruit/*.png" in line}
    few = [rows[line] for line in COMMANDS if "--limit 5" in line and "--query" not in line]
    [found] = [rows[line] for line in COMMANDS if "--query" in line]
    assert (files, few, found) == (FRUIT, [5, 5], 50)
    shots = [rows[line] for line in COMMANDS if "--limit 20" in line]
    assert shots == [20, 20, 20]
    [threshold] = [result.stderr for line, result in done.items() if "--other-from" in line]
    assert "balanced accuracy" in threshold
    [filtered] = [result.stdout for line, result in done.items() if line.startswith("clip-search")]
    assert filtered.count("fruit/")


@pytest.mark.usefixtures("home")
def test_every_line_of_the_help_runs(stack: Stack, examples: str) -> None:
    for line in HELPED:
        assert run(line, stack, examples).stdout


def test_the_python_of_the_page_runs(stack: Stack, examples: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(connect_to(PYTHON, stack, examples), "docs/classify.md", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == len(list(EXAMPLES.rglob("*.png"))) + 50
