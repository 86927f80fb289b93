"""The documents match the code: figures, paths, links, limits, and every command has a test that runs it."""

import re
import shlex
import tomllib

import pytest

from tests.documents import BLOCK, DOCS, PAGES, REPOSITORY, WITH_COMMANDS, Page, page
from tests.examples import test_drawing_corpus
from tests.query.evaluation import test_pages_experiment
from tests.stack import (
    test_answers,
    test_backup,
    test_beside,
    test_captions,
    test_eval,
    test_gallery_recipes,
    test_ground,
    test_limits,
    test_pages,
    test_ray,
    test_readme,
    test_recipes,
    test_region_recipes,
    test_search_recipes,
    test_serve_recipes,
    test_zeroshot_recipes,
)
from tests.training import test_train_recipes
from tests.training.grounding import test_run as test_grounding_run

EMOJI = "clip_vectorizer/models/emoji"
RUN = {  # every command line that a test runs
    *test_readme.COMMANDS,
    *test_recipes.COMMANDS,
    *test_region_recipes.COMMANDS,
    *test_backup.COMMANDS,
    *test_search_recipes.COMMANDS,
    *test_zeroshot_recipes.COMMANDS,
    *test_eval.COMMANDS,
    *test_gallery_recipes.COMMANDS,
    *test_ground.COMMANDS,
    *test_captions.COMMANDS,
    *test_limits.COMMANDS,
    *test_pages.COMMANDS,
    *test_pages_experiment.COMMANDS,
    *test_serve_recipes.COMMANDS,
    *test_beside.COMMANDS,
    *test_train_recipes.COMMANDS,
    *test_grounding_run.COMMANDS,
    *test_drawing_corpus.COMMANDS,
}
NOT_RUN = {"make", "docker", "pip", "helm", "kubectl"}  # what they name is checked below
LANGUAGES = {"sh", "python", "text", "json", "yaml", "graphql"}
ARCHITECTURE = page("ARCHITECTURE.md")
MOST_FILES_OF_A_FLOW = 12
MOST_README_LINES = 250
MOST_PICTURE_BYTES = 300_000
PLACES = ("clip_vectorizer", "ingest", "tests", "docs", "docker", "deploy", "examples", "benchmarks")


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_every_command_of_a_page_is_run_by_a_test(name: str) -> None:
    left = [line for line in page(name).commands() if line not in RUN and line.split()[0] not in NOT_RUN]
    assert not left, f"no test runs these lines of {name}; add them to the tests of its recipes"


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_every_program_of_a_page_is_run_by_a_test(name: str) -> None:
    runners = [
        test_readme,
        test_answers,
        test_ground,
        test_search_recipes,
        test_zeroshot_recipes,
        test_serve_recipes,
        test_ray,
    ]
    assert set(page(name).blocks("python")) <= {runner.PYTHON for runner in runners}


def test_make_test_finds_every_test_that_runs_alone() -> None:
    [paths] = re.findall(r"^ALONE = (.+)$", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = [REPOSITORY / path for path in paths.split()]
    files = (file for file in (REPOSITORY / "tests").rglob("*.py") if "mark." + "alone" in file.read_text("utf-8"))
    assert all(any(file.is_relative_to(path) for path in named) for file in files)
    assert all(path.is_dir() for path in named)


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_every_code_block_names_its_language(name: str) -> None:
    assert page(name).languages <= LANGUAGES
    assert not re.search(r"^    ", BLOCK.sub("", page(name).text), re.MULTILINE), "indent no code: fence it"


@pytest.mark.parametrize("name", WITH_COMMANDS)
def test_a_command_that_is_not_run_names_existing_things(name: str) -> None:
    targets = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for line in page(name).commands(*NOT_RUN):
        program, *words = shlex.split(line)
        if program == "make":
            assert all(re.search(rf"^([\w ]+ )?{word}( [\w ]+)?:", targets, re.MULTILINE) for word in words)
        elif program in ("helm", "kubectl"):  # tests/containers/chart/test_commands.py renders what they install
            assert all((REPOSITORY / word).exists() for word in words if word.startswith("deploy/"))
        elif program == "docker":
            files = [word for word in words if word.startswith("docker/")]
            assert files and all((REPOSITORY / file).is_file() for file in files)
        else:
            [wanted] = [word for word in words if word.startswith(project["name"])]
            extras = re.findall(r"[\w-]+", wanted.removeprefix(project["name"]))
            assert extras and set(extras) <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_somewhere(name: str) -> None:
    for link in page(name).links:
        path, _, anchor = link.partition("#")
        target = (REPOSITORY / name).parent / path if path else REPOSITORY / name
        assert target.exists(), link
        if anchor:
            assert anchor in Page(link, target.read_text(encoding="utf-8")).anchors, link


@pytest.mark.parametrize("name", PAGES)
def test_every_path_that_a_page_names_exists(name: str) -> None:
    spans = [word for span in page(name).code_spans for word in span.split()]
    paths = [word for word in spans if word.partition("/")[0] in PLACES and "/" in word]
    missing = [path for path in paths if not list(REPOSITORY.glob(path.rstrip("/")))]
    assert not missing


def test_the_readme_is_a_map_that_names_every_page() -> None:
    readme = page("README.md")
    assert len(readme.text.splitlines()) <= MOST_README_LINES
    assert set(DOCS) <= {link.partition("#")[0] for link in readme.links}


def test_the_pictures_are_small() -> None:
    pictures = list((REPOSITORY / "docs").glob("*.png"))
    assert pictures
    assert all(file.stat().st_size < MOST_PICTURE_BYTES for file in pictures)


def test_the_readme_quotes_the_figures_of_the_pages() -> None:
    measured = [*page("docs/serve.md").table("what"), *page("docs/ingest.md").table("what")]
    assert all(row in measured for row in page("README.md").table("what"))


@pytest.mark.parametrize("name", ["README.md", "docs/deploy.md", "docker/README.md"])
def test_the_image_of_the_pages_is_the_one_that_compose_makes(name: str) -> None:
    [image] = re.findall(r"image: \$\{VECTORIZER_IMAGE:-(\S+)\}", (REPOSITORY / "docker" / "compose.yaml").read_text())
    assert page(name).blocks("yaml")[0].split() == ["multi2vec-clip:", "image:", image]
    assert any(f"--tag {image} " in line for line in page(name).commands("docker"))


@pytest.mark.parametrize("name", ["docs/evaluate.md", f"{EMOJI}/README.md"])
def test_recall_figures_are_those_that_training_measured(name: str) -> None:
    lines = page(f"{EMOJI}/recall.md").text.splitlines()
    rows = [line for line in lines if line.startswith(("| text->image", "| image->text"))][:8]
    assert len(rows) == 8
    assert all(row in page(name).text for row in rows)


def test_the_weights_are_small_enough_for_a_wheel() -> None:
    assert (REPOSITORY / EMOJI / "open_clip_model.safetensors").stat().st_size <= 24_000_000


def test_the_examples_carry_their_licence_and_a_caption_each() -> None:
    images = REPOSITORY / "examples" / "images"
    assert "CC BY-SA 4.0" in (images / "ATTRIBUTION.md").read_text()
    assert "Attribution-ShareAlike 4.0" in (images / "LICENSE.txt").read_text()
    drawings = list(images.rglob("*.png"))
    assert len(drawings) > 300
    assert all(drawing.with_suffix(".txt").read_text(encoding="utf-8").strip() for drawing in drawings)


def newest_first(dates: list[str]) -> bool:
    return dates == sorted(dates, reverse=True)


def test_the_decisions_are_dated_and_the_newest_comes_first() -> None:
    decisions = page("docs/decisions.md").text
    dates = re.findall(r"^## (.*)$", decisions, re.MULTILINE)
    assert dates and all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates)
    assert newest_first(dates)
    assert len(re.findall(r"^\*\*.+?\*\*", decisions, re.MULTILINE)) > 50


def test_the_rooms_of_the_architecture_are_all_the_packages() -> None:
    [rooms, *_] = ARCHITECTURE.blocks("text")
    named = {line.split()[0].rstrip("/") for line in rooms.splitlines()}
    packages = {
        str(file.parent.relative_to(REPOSITORY))
        for root in ("clip_vectorizer", "ingest")
        for file in (REPOSITORY / root).rglob("*.py")
        if "weaviate_tool" not in file.parts
    }
    assert named == packages
    assert all(len(line.split()) > 1 for line in rooms.splitlines())


def test_a_flow_is_a_short_list_of_files_that_exist() -> None:
    flows = re.split(r"^\*\*", ARCHITECTURE.section("Three flows").text, flags=re.MULTILINE)[1:]
    assert len(flows) == 3
    for flow in flows:
        files = re.findall(r"^\d+\. `([^`]+)`: \S", flow, re.MULTILINE)
        assert 8 <= len(files) <= MOST_FILES_OF_A_FLOW
        assert all((REPOSITORY / file).is_file() for file in files), files


def test_the_words_are_explained_once_each() -> None:
    words = [row[0] for row in ARCHITECTURE.section("Words").table("word")]
    assert 12 <= len(words) <= 20
    assert len(set(words)) == len(words)
