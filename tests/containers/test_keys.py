"""docker/compose.keys.yaml: one file more, and nothing answers without a key."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.containers.engine import COMPOSE, SIDECAR, START_SECONDS, Compose, docker, running
from tests.stack.support import REPOSITORY, Stack, http, run_command

pytestmark = pytest.mark.containers

KEYS = COMPOSE.with_name("compose.keys.yaml")
BODY = json.dumps({"texts": ["a red apple"]}).encode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "keys"
    make_keys(folder)
    return folder


def make_keys(folder: Path) -> None:
    subprocess.run(["make", "keys", f"KEYS={folder}"], cwd=REPOSITORY, check=True, capture_output=True)


@pytest.fixture(scope="module")
def compose(images: tuple[str, str], keys: Path) -> Iterator[Compose]:
    with running(Compose((COMPOSE, KEYS), {"KEYS": str(keys)})) as compose:
        yield compose


@pytest.fixture(scope="module")
def stack(compose: Compose, keys: Path) -> Stack:
    return compose.stack(read(keys, "weaviate_key"))


def read(keys: Path, name: str) -> str:
    return (keys / name).read_text().strip()


def sidecar_call(stack: Stack, path: str, **request: object) -> httpx.Response:
    return http("POST" if path == "/vectorize" else "GET", stack.vectorizer_url + path, **request)


def test_keys_are_made_once_and_only_their_owner_enters_the_folder(keys: Path) -> None:
    before = {name: read(keys, name) for name in ("weaviate_key", "sidecar_key", "sidecar_login")}
    assert before["sidecar_login"].startswith("weaviate:") and len(set(before.values())) == 3
    assert all(len(key.removeprefix("weaviate:")) == 48 for key in before.values())
    make_keys(keys)
    assert {name: read(keys, name) for name in before} == before
    assert keys.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("path", ["/v1/schema", "/v1/objects", "/v1/nodes"])
def test_weaviate_refuses_who_has_no_key(stack: Stack, path: str) -> None:
    assert http("GET", stack.weaviate_url + path).status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert http("GET", stack.weaviate_url + path, headers=wrong).status_code == 401
    assert stack.weaviate("GET", path).status_code == 200


@pytest.mark.parametrize("path", ["/vectorize", "/meta", "/metrics"])
def test_the_sidecar_refuses_who_has_neither_key_nor_password(stack: Stack, keys: Path, path: str) -> None:
    content = BODY if path == "/vectorize" else None
    bearer = {"Authorization": f"Bearer {read(keys, 'sidecar_key')}"}
    user, _, password = read(keys, "sidecar_login").partition(":")
    assert sidecar_call(stack, path, content=content).status_code == 401
    assert sidecar_call(stack, path, content=content, auth=(user, "wrong")).status_code == 401
    assert sidecar_call(stack, path, content=content, auth=(user, password)).status_code == 200
    assert sidecar_call(stack, path, content=content, headers=bearer).status_code == 200


def test_the_commands_work_with_the_keys_of_files(compose: Compose, stack: Stack, keys: Path) -> None:
    [summary] = compose.run("ingest", "/images/fruit", "--json").rows
    assert summary["added"] > 10 and summary["failed"] == 0
    assert "apple" in compose.run("search", "a red apple", "--json").rows[0]["path"]
    [row] = compose.run("classify", "/images/animals/panda.png", "--labels", "panda,wolf", "--json").rows
    assert row["label"] == "panda"
    files = {"WEAVIATE_API_KEY_FILE": keys / "weaviate_key", "VECTORIZER_API_KEY_FILE": keys / "sidecar_key"}
    env = Stack(stack.weaviate_url, stack.grpc_port, None, stack.vectorizer_url).env
    ran = run_command("clip-search", "a red apple", "--json", env=env | {n: str(f) for n, f in files.items()}, expect=0)
    assert "apple" in ran.rows[0]["path"]


def test_the_page_wants_its_password(compose: Compose, keys: Path) -> None:
    compose("up", "--detach", "--wait", "gallery", seconds=START_SECONDS)
    url = f"http://{compose.port('gallery', 8091)}/"
    assert http("GET", url).status_code == http("GET", url, auth=("me", "wrong")).status_code == 401
    assert http("GET", url, auth=("me", read(keys, "gallery_password"))).status_code == 200


def test_a_command_without_the_keys_ends_with_4(compose: Compose) -> None:
    bare = ("--env", "WEAVIATE_API_KEY_FILE=", "--env", "VECTORIZER_API_KEY_FILE=")
    refused = compose.run("ingest", "/images/fruit", options=bare, expect=4).stderr
    assert "refuses the API key" in refused and "WEAVIATE_API_KEY" in refused


def test_no_key_is_in_what_docker_shows(compose: Compose, keys: Path) -> None:
    secrets = [read(keys, name) for name in ("weaviate_key", "sidecar_key")] + [read(keys, "sidecar_login")[-48:]]
    for service in ("vectorizer", "weaviate"):
        shown = json.dumps(compose.container(service)) + compose("logs", service).stdout
        assert not [secret for secret in secrets if secret in shown]
        assert not [secret for secret in secrets if secret in docker("history", "--no-trunc", SIDECAR).stdout]
