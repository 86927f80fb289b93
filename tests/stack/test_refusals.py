"""Errors of the commands: a service is down, a port is in use, or a collection belongs to another model."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ingest.embedded import LocalSidecar
from tests.stack.conftest import Run
from tests.stack.support import EXAMPLES, NOWHERE, REPOSITORY, Stack, run_command

pytestmark = pytest.mark.stack

BANANA = EXAMPLES / "fruit" / "banana.png"
INGEST = ("clip-ingest", EXAMPLES / "flowers")
SEARCH_BY_TEXT = ("clip-search", "banana")
SEARCH_BY_IMAGE = ("clip-search", "--image", BANANA)
CLASSIFY = ("clip-classify", BANANA, "--labels", "fruit,birds")
CLASSIFY_ALL = ("clip-classify", "--labels", "fruit,birds")  # files alone would touch no vector of the collection


def name_of(command: tuple[object, ...]) -> str:
    return " ".join(Path(str(word)).name for word in command)


@pytest.mark.parametrize("command", [INGEST, SEARCH_BY_TEXT, SEARCH_BY_IMAGE, CLASSIFY], ids=name_of)
def test_an_unreachable_weaviate_is_named(run: Run, command: tuple[str | Path, ...]) -> None:
    refused = run(*command, env={"WEAVIATE_URL": NOWHERE}, expect=4)
    assert refused.stdout == ""
    assert NOWHERE in refused.stderr
    assert "WEAVIATE_URL" in refused.stderr


@pytest.mark.parametrize("command", [INGEST, SEARCH_BY_IMAGE, CLASSIFY], ids=name_of)
def test_an_unreachable_sidecar_is_named(run: Run, examples: str, command: tuple[str | Path, ...]) -> None:
    place = () if command is CLASSIFY else ("--collection", examples)  # files alone read no collection
    refused = run(*command, *place, env={"VECTORIZER_URL": NOWHERE}, expect=4)
    assert refused.stdout == ""
    assert NOWHERE in refused.stderr
    assert "VECTORIZER_URL" in refused.stderr


@pytest.fixture(scope="module")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a client whose sidecar serves the emoji towers with other weights, same dimension."""
    folder = tmp_path_factory.mktemp("models") / "altered"
    shutil.copytree(REPOSITORY / "clip_vectorizer" / "models" / "emoji", folder)
    weights = folder / "open_clip_model.safetensors"
    random = np.random.default_rng(0)
    save_file({name: altered(tensor, random) for name, tensor in load_file(weights).items()}, weights)
    with LocalSidecar(f"local-dir:{folder}") as sidecar:
        yield {"VECTORIZER_URL": sidecar.url}


def altered(tensor: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The same shape and type, each number a few percent off: variances stay above zero."""
    if not np.issubdtype(tensor.dtype, np.floating):
        return tensor
    return np.asarray(tensor * random.uniform(0.95, 1.05, tensor.shape), tensor.dtype)  # a scalar must stay an array


@pytest.mark.parametrize("command", [INGEST, SEARCH_BY_TEXT, SEARCH_BY_IMAGE, CLASSIFY_ALL], ids=name_of)
def test_a_collection_of_another_model_is_refused(
    run: Run, stack: Stack, examples: str, other_model: dict[str, str], command: tuple[str | Path, ...]
) -> None:
    before = count(stack, examples)
    refused = run(*command, "--collection", examples, env=other_model, expect=5)
    assert refused.stdout == ""
    assert "emoji" in refused.stderr  # the model that made the collection
    assert "altered" in refused.stderr  # the model of the sidecar
    assert count(stack, examples) == before


def count(stack: Stack, collection: str) -> int:
    query = f"{{ Aggregate {{ {collection} {{ meta {{ count }} }} }} }}"
    answer = stack.weaviate("POST", "/v1/graphql", {"query": query}).json()
    return int(answer["data"]["Aggregate"][collection][0]["meta"]["count"])


def test_a_port_in_use_is_named_with_a_way_out(stack: Stack) -> None:
    port = stack.vectorizer_url.rpartition(":")[2].strip("/")
    refused = run_command("clip-vectorizer", "serve", "--model", "emoji", "--port", port)
    assert refused.exit_code not in (0, 3, 130)
    assert port in refused.stderr
    assert "--port" in refused.stderr


def test_the_error_for_an_unknown_model_has_the_command_that_lists_the_names() -> None:
    refused = run_command("clip-vectorizer", "serve", "--model", "no-such-model", "--port", "0")
    assert refused.exit_code not in (0, 3, 130)
    assert "no-such-model" in refused.stderr
    assert "clip-vectorizer models" in refused.stderr


@pytest.mark.parametrize("name", ["CLIP_PORT", "CLIP_MAX_BATCH"])
def test_a_setting_that_makes_no_sense_names_its_variable(name: str) -> None:
    refused = run_command("clip-vectorizer", "serve", "--model", "emoji", env={name: "many"}, expect=2)
    assert name in refused.stderr
    assert "many" in refused.stderr
