"""The real process, `clip-vectorizer serve --model emoji`, over a socket."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from tests.listening import list_listeners
from tests.server.clients import RED, base64_of

COMMAND = [sys.executable, "-m", "clip_vectorizer.cli", "serve"]
BODY_LIMIT = 1_000_000  # bytes
SECONDS = 300  # to load torch, on a machine that is busy with other things


@dataclass
class Process:
    url: str
    child: subprocess.Popen[str]
    lines: list[str]

    def wait_until_ready(self) -> None:
        start = time.monotonic()
        while httpx.get(f"{self.url}/.well-known/ready").status_code != 204:
            assert self.child.poll() is None, "the sidecar ended"
            assert time.monotonic() - start < SECONDS, "the sidecar never became ready"
            time.sleep(0.1)


@contextmanager
def serving(*arguments: str, **environment: str) -> Iterator[Process]:
    child = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments], stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        assert child.stderr
        first = child.stderr.readline()
        found = re.search(r"listens on (http://127\.0\.0\.1:\d+)", first)
        assert found, first
        yield Process(found[1], child, [first])
    finally:
        child.kill()
        child.communicate()


@pytest.fixture(scope="module")
def sidecar() -> Iterator[Process]:
    """One for all tests here: each start costs seconds."""
    with serving(CLIP_MAX_BODY_BYTES=str(BODY_LIMIT)) as process:
        process.wait_until_ready()
        yield process


def test_it_listens_at_once_and_answers_that_it_is_loading() -> None:
    with serving() as process:
        answer = httpx.get(f"{process.url}/.well-known/ready")
        assert answer.status_code == 503
        assert "loading emoji" in answer.json()["error"]
        assert httpx.get(f"{process.url}/.well-known/live").status_code == 204
        process.child.send_signal(signal.SIGTERM)
        assert process.child.wait(30) == 0


def test_it_listens_on_one_port_of_loopback(sidecar: Process) -> None:
    assert list_listeners(sidecar.child.pid) == {("127.0.0.1", httpx.URL(sidecar.url).port)}


@pytest.mark.parametrize("processes", ["1", "2"])
def test_with_a_setting_it_refuses_connections_until_it_is_ready(processes: str) -> None:
    """Beside another sidecar of the same name: a client that is refused takes the next address."""
    with serving("--processes", processes, CLIP_LISTEN_WHEN_READY="true") as process:
        assert "once the model is loaded" in process.lines[0]
        answers = [read_status(process)]
        while answers[-1] == "refused":
            assert process.child.poll() is None, "the sidecar ended"
            time.sleep(0.02)
            answers.append(read_status(process))
        assert answers[0] == "refused" and answers[-1] == "204"
        process.child.send_signal(signal.SIGTERM)
        assert process.child.wait(30) == 0


def read_status(process: Process) -> str:
    try:
        return str(httpx.get(f"{process.url}/.well-known/ready", verify=False).status_code)
    except httpx.ConnectError:
        return "refused"


def test_a_sigterm_ends_it_before_it_listens() -> None:
    with serving(CLIP_LISTEN_WHEN_READY="true") as process:
        process.child.send_signal(signal.SIGTERM)
        assert process.child.wait(30) == 0


def test_texts_and_images_come_back_as_unit_vectors(sidecar: Process) -> None:
    body = {"texts": ["a red apple", "红苹果"], "images": [base64_of(RED)]}
    answer = httpx.post(f"{sidecar.url}//vectorize", json=body)
    assert answer.status_code == 200
    rows = np.array(answer.json()["textVectors"] + answer.json()["imageVectors"])
    assert rows.shape == (3, httpx.get(f"{sidecar.url}/meta").json()["dimension"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_the_same_image_twice_gives_the_same_bits(sidecar: Process) -> None:
    body = {"images": [base64_of(RED)]}
    first, second = (httpx.post(f"{sidecar.url}/vectorize", json=body).content for _ in range(2))
    assert first == second


def test_a_connection_may_idle_and_is_used_again(sidecar: Process) -> None:
    connection = http.client.HTTPConnection(sidecar.url.removeprefix("http://"))
    for idle_seconds in (6, 0):  # uvicorn's default would have hung up by then
        connection.request("POST", "/vectorize", json.dumps({"texts": ["a"]}))
        assert connection.getresponse().read()
        time.sleep(idle_seconds)
    connection.close()


def test_a_body_over_the_limit_is_answered_while_it_is_sent(sidecar: Process) -> None:
    answer = httpx.post(f"{sidecar.url}/vectorize", content=b"x" * 3 * BODY_LIMIT)
    assert answer.status_code == 413
    assert "CLIP_MAX_BODY_BYTES" in answer.json()["error"]


def test_sigterm_ends_it_with_exit_code_0() -> None:
    with serving() as process:
        process.wait_until_ready()
        process.child.send_signal(signal.SIGTERM)
        assert process.child.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "expected"),
    [
        (["--model", "local-dir:/no/such/folder"], {}, 1, "/no/such/folder"),
        ([], {"CLIP_MAX_BATCH": "many"}, 2, "'CLIP_MAX_BATCH'): 'many'"),
        (["--host", "203.0.113.1"], {}, 1, "cannot listen on 203.0.113.1"),
    ],
)
def test_an_invalid_start_is_one_sentence(
    arguments: list[str], environment: dict[str, str], code: int, expected: str
) -> None:
    done = subprocess.run(
        [*COMMAND, "--port", "0", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code
    [sentence] = [line for line in done.stderr.splitlines() if line.lower().startswith("error: ")]
    assert expected in sentence
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*COMMAND, "--port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().startswith(f"error: cannot listen on 127.0.0.1:{port} ")
