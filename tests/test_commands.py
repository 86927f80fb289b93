"""All commands: help that fits a terminal, `python -m`, `--version`, environment variables, subcommands."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clip_vectorizer.cli import main as vectorizer
from clip_vectorizer.gallery.cli import main as gallery
from clip_vectorizer.query.choices import PROMPT_SETS
from clip_vectorizer.query.cli.caption import main as caption
from clip_vectorizer.query.cli.classify import main as classify
from clip_vectorizer.query.cli.evaluate import main as evaluate
from clip_vectorizer.query.cli.ground import main as ground
from clip_vectorizer.query.cli.search import main as search
from clip_vectorizer.query.prompts import PROMPTS
from ingest.cli import main as ingest
from ingest.demo.cli import main as demo

MAINS = {
    "clip-vectorizer": vectorizer,
    "clip-search": search,
    "clip-classify": classify,
    "clip-caption": caption,
    "clip-ground": ground,
    "clip-eval": evaluate,
    "clip-ingest": ingest,
    "clip-gallery": gallery,
    "clip-demo": demo,
}


def list_helps(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    yield name, CliRunner().invoke(command, ["--help"], prog_name=name, env={"COLUMNS": "80"}).output
    for each, inner in command.commands.items() if isinstance(command, click.Group) else ():
        yield from list_helps(inner, f"{name} {each}")


HELPS = dict(each for name, main in MAINS.items() for each in list_helps(main, name))


@pytest.mark.parametrize("name", HELPS)
def test_help_fits_80_columns_and_has_an_example(name: str) -> None:
    lines = HELPS[name].splitlines()
    too_long = [line for line in lines if len(line) > 80 and "http://" not in line]
    assert not too_long
    assert name in HELPS[name].partition("Example")[2]


@pytest.mark.parametrize("name", HELPS)
def test_every_option_is_explained(name: str) -> None:
    command: click.Command = MAINS[name.split()[0]]
    for word in name.split()[1:]:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    assert all(each.help for each in command.params if isinstance(each, click.Option))


@pytest.mark.parametrize(
    ("package", "usage"), [("clip_vectorizer", "COMMAND"), ("ingest", "SOURCE..."), ("clip_vectorizer.gallery", "")]
)
def test_a_package_runs_as_its_command(package: str, usage: str) -> None:
    ran = subprocess.run([sys.executable, "-m", package, "--help"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"Usage: python -m {package} [OPTIONS] {usage}".rstrip())


def test_version_names_the_package_the_model_store_and_the_weaviate_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/models")
    lines = CliRunner().invoke(vectorizer, ["--version"]).output.splitlines()
    assert [line.split() for line in lines] == [
        ["clip-vectorizer", version("clip-vectorizer")],
        ["model", "store", "/models"],
        ["weaviate-client", version("weaviate-client")],
    ]


@pytest.mark.parametrize("variables", [{}, {"HF_HOME": "/h"}, {"XDG_CACHE_HOME": "/x"}, {"HF_HUB_CACHE": "/c"}])
def test_the_model_store_is_that_of_the_hub_client(variables: dict[str, str]) -> None:
    names = ("HF_HOME", "XDG_CACHE_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")
    environment = {name: value for name, value in os.environ.items() if name not in names} | variables
    program = (
        "from huggingface_hub.constants import HF_HUB_CACHE; from clip_vectorizer.models_cli import find_model_store; "
        "print(HF_HUB_CACHE); print(find_model_store())"
    )
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    theirs, ours = ran.stdout.split()
    assert Path(ours) == Path(theirs)


def test_the_help_lists_the_prompt_sets_there_are() -> None:
    assert tuple(PROMPTS) == PROMPT_SETS


def test_an_empty_or_padded_variable_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_PORT", " 7070 ")
    monkeypatch.setenv("CLIP_PRECISION", " ")
    context = vectorizer.commands["serve"].make_context("serve", [])
    assert (context.params["port"], context.params["precision"]) == (7070, "fp32")


def test_a_wrong_variable_is_a_usage_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIP_PORT", "many")
    ended = CliRunner().invoke(vectorizer, ["serve"])
    assert ended.exit_code == 2 and "CLIP_PORT" in ended.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--images", ".", "up"], "--images has no effect on `clip-demo up`; remove it"),
        (["--model", "m", "down"], "--model has no effect on `clip-demo down`; remove it"),
        (["--model", "a", "up", "--model", "b"], "--model is given twice; remove the first one"),
    ],
)
def test_an_option_before_a_subcommand_that_does_not_use_it_is_refused(words: list[str], sentence: str) -> None:
    ended = CliRunner().invoke(demo, words)
    assert ended.exit_code == 2 and sentence in ended.stderr


def test_a_bare_other_is_a_missing_value() -> None:
    ended = CliRunner().invoke(classify, ["--labels", "a,b", "--other"])
    assert ended.exit_code == 2 and "Option '--other' requires an argument" in ended.stderr
