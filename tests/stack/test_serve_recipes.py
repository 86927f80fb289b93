"""The documented ways of serving: sidecars start as the pages have them, curl gets the responses that they show."""

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import httpx
import numpy as np
import pytest

from clip_vectorizer.cli import main as clip_vectorizer
from ingest.demo.cli import main as clip_demo
from tests.documents import page, program
from tests.stack.images import png
from tests.stack.processes import eventually
from tests.stack.support import BIN, REPOSITORY, Stack, base64_of, clean_environment, http, run_command

pytestmark = pytest.mark.stack

SERVE, DEPLOY, MODELS = page("docs/serve.md"), page("docs/deploy.md"), page("docs/models.md")
BACKENDS = page("docs/grounding.md").section("Backends")
PAGES = SERVE, DEPLOY, MODELS, BACKENDS
COMMANDS = [line for each in PAGES for line in each.commands("clip-vectorizer", "clip-demo", "curl")]
GROUPS: dict[str, click.Group] = {"clip-vectorizer": clip_vectorizer, "clip-demo": clip_demo}
SIDECARS = [line for line in dict.fromkeys(COMMANDS) if "clip-vectorizer serve" in line]
STARTED = [line for line in SIDECARS if "emoji" in line and "cuda" not in line]  # others need a hub, weights, a GPU
OTHERS = [
    line
    for line in dict.fromkeys(COMMANDS)
    if "clip-vectorizer" in line and line not in SIDECARS and " download " not in line  # needs a hub
]
[PYTHON] = SERVE.blocks("python")
CURLS = SERVE.commands("curl")
READY_SECONDS = 120  # of two worker processes on busy cores
LOCAL_MODEL = ("local-dir:/models/my-clip", f"local-dir:{REPOSITORY / 'clip_vectorizer' / 'models' / 'emoji'}")


def test_the_pages_have_all_the_recipes() -> None:
    assert (len(STARTED), len(CURLS)) == (8, 3)
    assert len(SIDECARS) == 24


@pytest.mark.parametrize("line", [line for line in dict.fromkeys(COMMANDS) if program(line) in GROUPS])
def test_every_option_of_a_line_is_accepted(line: str) -> None:
    """Also of those whose model has to be downloaded, or that need a GPU: click parses them, and refuses none."""
    words = [word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)]
    command, rest = find_command(words)
    assert command.make_context(words[1], rest).params


def find_command(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that runs for `words`, and its own words; `models` lists without the name of a command."""
    command: click.Command = GROUPS[words[0]]
    rest = words[1:]
    while isinstance(command, click.Group):
        name = rest.pop(0) if rest and rest[0] in command.commands else "list"
        command = command.commands[name]
    return command, rest


@pytest.mark.parametrize("line", [*STARTED, *(line for line in SIDECARS if LOCAL_MODEL[0] in line)])
def test_a_sidecar_starts_as_the_page_has_it(line: str) -> None:
    words = shlex.split(line.replace(*LOCAL_MODEL))
    settings = dict(word.split("=", 1) for word in words if word.startswith("CLIP_"))
    command = [str(BIN / words[len(settings)]), *words[len(settings) + 1 :], "--port", "0"]
    with subprocess.Popen(
        command, env=clean_environment() | settings, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as sidecar:
        try:
            url = next(iter(addresses(sidecar)))
            assert eventually(lambda: is_ready(url), READY_SECONDS)
            check_access(url, settings)
        finally:
            sidecar.send_signal(signal.SIGTERM)
            _, messages = sidecar.communicate(timeout=60)
    assert sidecar.returncode == 0, messages


def is_ready(url: str) -> bool:
    return http("GET", f"{url}/.well-known/ready").status_code == 204


def addresses(sidecar: "subprocess.Popen[str]") -> Iterator[str]:
    """What its log names as it listens."""
    assert sidecar.stderr is not None
    for line in sidecar.stderr:
        if found := re.search(r"listens on (http://\S+)", line):
            yield found[1]


def check_access(url: str, settings: dict[str, str]) -> None:
    """Without credentials only where none are set; with those of the line always."""
    body = {"texts": ["an owl"]}
    assert http("POST", f"{url}/vectorize", json=body).status_code == (401 if settings else 200)
    password = settings.get("CLIP_BASIC_AUTH")
    key = settings.get("CLIP_API_KEYS", "").split(",")[0]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    auth = httpx.BasicAuth(*password.split(":")) if password else None
    assert http("POST", f"{url}/vectorize", json=body, headers=headers, auth=auth).status_code == 200


@pytest.mark.parametrize("line", OTHERS)
def test_a_line_about_models_prints_something(line: str) -> None:
    words = shlex.split(line)
    quickly = ["--seconds", "0.1"] if "doctor" in words else []
    assert run_command(*words, *quickly, expect=0).stdout


def curl(line: str, stack: Stack, folder: Path) -> str:
    command = line.replace("localhost:9090", stack.vectorizer_url.removeprefix("http://"))
    environment = clean_environment() | {"no_proxy": "*"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_curl_gets_what_the_page_shows(stack: Stack, tmp_path: Path) -> None:
    text, broken, files = CURLS
    [vector] = json.loads(curl(text, stack, tmp_path))["textVectors"]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    [shown] = SERVE.blocks("json")
    assert json.loads(curl(broken, stack, tmp_path)) == json.loads(shown)
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    curl(files, stack, tmp_path)
    assert np.load(tmp_path / "vectors.npy").shape == (2, len(vector))


def test_curl_gets_boxes_for_phrases(stack: Stack, tmp_path: Path) -> None:
    [line] = BACKENDS.commands("curl")
    (tmp_path / "examples").symlink_to(REPOSITORY / "examples")
    answer = json.loads(curl(line, stack, tmp_path))
    lemon, owl = (max(row) for row in answer["probabilities"])
    assert len(answer["boxes"]) == len(answer["objectness"]) and lemon > owl


def test_the_python_of_the_page_gets_vectors(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI's client is not among our dependencies: here stands a client that sends what it documents."""
    client = ModuleType("openai")
    vars(client)["OpenAI"] = OpenAIClient
    monkeypatch.setitem(sys.modules, "openai", client)
    given = PYTHON.replace("http://localhost:9090", stack.vectorizer_url)
    given = given.replace("base64,...", f"base64,{base64_of(png())}")
    names: dict[str, object] = {}
    exec(compile(given, "docs/serve.md", "exec"), names)
    answer = names["answer"]
    assert isinstance(answer, dict)
    assert [row["index"] for row in answer["data"]] == [0, 1]


class OpenAIClient:
    def __init__(self, base_url: str, api_key: str) -> None:
        headers = {"Authorization": f"Bearer {api_key}"}
        self.embeddings = SimpleNamespace(
            create=lambda **body: http("POST", f"{base_url}/embeddings", json=body, headers=headers).json()
        )


def test_the_page_lists_the_paths_that_openapi_describes(stack: Stack) -> None:
    described = set(stack.sidecar("GET", "/openapi.json").json()["paths"])
    listed = {path for row in SERVE.table("path") for path in re.findall(r"/[\w./-]+", row[0])}
    assert listed - {"/openapi.json"} <= described


def test_the_metrics_of_the_page_exist(stack: Stack) -> None:
    stack.vectorize(texts=["an owl"]).raise_for_status()
    published = stack.sidecar("GET", "/metrics").text
    names = {name for row in DEPLOY.table("question") for name in re.findall(r"clip_\w+", row[1])}
    assert len(names) >= 5
    assert all(f"{name} " in published or f"{name}{{" in published or f"TYPE {name}" in published for name in names)


def test_a_response_has_the_times_of_the_page(stack: Stack) -> None:
    names = {span for span in DEPLOY.code_spans if span.startswith("x-")}
    assert len(names) == 6
    assert names <= set(stack.vectorize(texts=["a goose"]).headers)
