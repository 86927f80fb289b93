"""What the stack tests share: where the services are, commands as subprocesses, and plain HTTP to both."""

import base64
import json
import os
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import httpx
from click.testing import CliRunner

from clip_vectorizer.database.connection import ConnectionSettings
from tests.http_server import ALLOWED

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples" / "images"
BIN = Path(sysconfig.get_path("scripts"))
OURS = ("CLIP_", "WEAVIATE_", "VECTORIZER_")  # a developer's own settings must not reach the commands under test
NOWHERE = "http://127.0.0.1:1"  # nothing listens on port 1


@dataclass(frozen=True, slots=True)
class Stack:
    """A running Weaviate and its sidecar."""

    weaviate_url: str
    grpc_port: int
    api_key: str | None
    vectorizer_url: str

    @property
    def connection(self) -> ConnectionSettings:
        return ConnectionSettings(self.weaviate_url, self.grpc_port, self.api_key, self.vectorizer_url)

    @property
    def env(self) -> dict[str, str]:
        key = {"WEAVIATE_API_KEY": self.api_key} if self.api_key else {}
        return {
            "WEAVIATE_URL": self.weaviate_url,
            "WEAVIATE_GRPC_PORT": str(self.grpc_port),
            "VECTORIZER_URL": self.vectorizer_url,
            "CLIP_ALLOW_ADDRESSES": " ".join(ALLOWED),
            **key,
        }

    def weaviate(self, method: str, path: str, body: object = None) -> httpx.Response:
        """One call of Weaviate's REST API, as curl would make it."""
        headers = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return http(method, self.weaviate_url + path, json=body, headers=headers)

    def sidecar(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        """One call of the sidecar, the body as it is."""
        return http(method, self.vectorizer_url + path, content=content)

    def vectorize(self, **body: object) -> httpx.Response:
        return self.sidecar("POST", "/vectorize", json.dumps(body).encode())

    def graphql(self, query: str) -> list[dict[str, Any]]:
        """The rows of the one collection a `{ Get { ... } }` query names."""
        answer = self.weaviate("POST", "/v1/graphql", {"query": query}).json()
        assert "errors" not in answer, answer["errors"]
        [rows] = answer["data"]["Get"].values()
        return list(rows)


def http(method: str, url: str, **request: Any) -> httpx.Response:
    """One request on loopback: past any proxy, and without the certificates that plain HTTP never reads."""
    return httpx.request(method, url, timeout=60, trust_env=False, verify=False, **request)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every line of stdout as a JSON object; anything else on stdout is an error."""
        rows = [json.loads(line) for line in self.stdout.splitlines()]
        assert all(isinstance(row, dict) for row in rows), self.stdout
        return rows


def run_command(
    *command: str | Path, env: dict[str, str] | None = None, timeout: float = 180, expect: int | None = None
) -> Ran:
    """Runs one of our commands from the environment's bin folder; with `expect`, holds its exit code to that."""
    done = subprocess.run(
        [BIN / command[0], *map(str, command[1:])],
        env=clean_environment() | (env or {}),
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in ran.stderr, ran.stderr
    if expect is not None:
        assert ran.exit_code == expect, f"{command} ended {ran.exit_code}, not {expect}:\n{ran.stdout}\n{ran.stderr}"
    return ran


Run = Callable[..., Ran]  # run_command, bound to a stack


def run_inside(command: click.Command, env: dict[str, str], *words: str | Path, expect: int = 0) -> Ran:
    """Runs a command in this process: where there are many, new ones would take longer than what they do."""
    ended = CliRunner().invoke(command, list(map(str, words)), env=env, prog_name=command.name)
    assert ended.exit_code == expect, f"{words} ended {ended.exit_code}, not {expect}:\n{ended.output}"
    return Ran(ended.exit_code, ended.stdout, ended.stderr)


def fresh_collection(stack: Stack) -> Iterator[str]:
    """The name of a collection that no other test uses; dropped afterwards."""
    name = f"Test{uuid4().hex[:12]}"
    yield name
    stack.weaviate("DELETE", f"/v1/schema/{name}").raise_for_status()


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(OURS)}


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()
