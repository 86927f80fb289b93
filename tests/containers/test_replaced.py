"""A sidecar is replaced while requests come: a second one starts beside it, then the first one ends."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from uuid import uuid4

import pytest

from tests.containers.disturbed import near_text
from tests.containers.engine import SIDECAR, START_SECONDS, Compose, docker, running
from tests.stack.support import Stack

pytestmark = pytest.mark.containers

SEARCHERS = 2  # at once, through Weaviate
LOAD = """
import json, os, threading, time
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import VectorizerError
end, done, errors = threading.Event(), [], []
def work(number):
    with VectorizerClient(os.environ["VECTORIZER_URL"]) as sidecar:
        for count in range(10**9):
            if end.is_set():
                return
            time.sleep(0.1)
            try:
                assert sidecar.embed_texts([f"text {number} {count}"]).shape[0] == 1
                done.append(1)
            except VectorizerError as error:
                errors.append(str(error))
threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
try:
    threading.Event().wait()
except KeyboardInterrupt:
    end.set()
for thread in threads:
    thread.join()
print(json.dumps({"done": len(done), "errors": errors}))
"""


@pytest.fixture(scope="module")
def compose(images: tuple[str, str]) -> Iterator[Compose]:
    with running(Compose()) as compose:
        compose.run("ingest", "/images/fruit")
        yield compose


@contextmanager
def searching(stack: Stack) -> Iterator[list[str]]:
    """Searches by text through Weaviate, each of another text, until the end of the block; the errors."""
    errors: list[str] = []
    end, counts = Event(), [0] * SEARCHERS

    def search(number: int) -> None:
        while not end.is_set():
            time.sleep(0.1)  # the second sidecar needs a part of the machine to start
            counts[number] += 1
            if error := near_text(stack, f"fruit {number} {counts[number]}")[1]:
                errors.append(error)

    with ThreadPoolExecutor(SEARCHERS) as pool:
        searches: list[Future[None]] = [pool.submit(search, number) for number in range(SEARCHERS)]
        try:
            yield errors
        finally:
            end.set()
        for each in searches:
            each.result()
    assert min(counts) > 3, f"too few searches to see anything: {counts}"


@contextmanager
def loading(compose: Compose) -> Iterator[list[str]]:
    """Requests of our own client from a container of the commands; the errors, complete after the block."""
    errors: list[str] = []
    name = f"{compose.project}-load"
    start = ("run", "--detach", "--name", name, "--entrypoint", "python", "ingest", "-c", LOAD)
    compose(*start)
    try:
        yield errors
        docker("stop", "--time", "60", name)  # by SIGINT
        found = json.loads(docker("logs", name).stdout)
    finally:
        docker("rm", "--force", name)
    assert found["done"] > 10, found
    errors += found["errors"]


@contextmanager
def another_image(compose: Compose) -> Iterator[Compose]:
    """The same project with a new image: equal, under another name."""
    name = f"clip-vectorizer:next-{uuid4().hex[:8]}"
    docker("tag", SIDECAR, name)
    try:
        yield replace(compose, settings={**compose.settings, "VECTORIZER_IMAGE": name})
    finally:
        docker("image", "rm", "--force", name, expect=None)


def sidecars(compose: Compose) -> list[str]:
    return compose("ps", "--quiet", "vectorizer").stdout.split()


def roll_over(compose: Compose) -> None:
    """As docs/deploy.md has it."""
    [old] = sidecars(compose)
    up = ("up", "--detach", "--wait", "--no-deps")
    compose(*up, "--no-recreate", "--scale", "vectorizer=2", "vectorizer", seconds=START_SECONDS)
    assert len(sidecars(compose)) == 2 and old in sidecars(compose)
    compose(*up, "vectorizer", seconds=START_SECONDS)  # of the two it ends the one with the image of before
    [new] = sidecars(compose)
    assert new != old


def test_a_sidecar_is_replaced_under_load_and_no_request_is_lost(compose: Compose) -> None:
    with another_image(compose) as upgraded:
        with searching(compose.stack()) as failed_searches, loading(compose) as failed_requests:
            time.sleep(3)
            roll_over(upgraded)
            time.sleep(3)
        assert failed_searches == [] and failed_requests == []
        assert compose.container("vectorizer")["Config"]["Image"] == upgraded.settings["VECTORIZER_IMAGE"]
