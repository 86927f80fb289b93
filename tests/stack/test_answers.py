"""Questions about stored pictures, by a Weaviate with generative modules and a language model that is none."""

import asyncio
import base64
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from weaviate.classes.generate import GenerativeConfig

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import AsyncImageSearch, ImageSearch
from ingest.embedded import LocalWeaviate
from tests.documents import page
from tests.http_server import running
from tests.stack.images import png
from tests.stack.storing import Place
from tests.stack.support import Stack
from tests.stack.test_readme import connect_to

pytestmark = pytest.mark.stack

PICTURES = {"red.png": png((200, 0, 0)), "green.png": png((0, 200, 0)), "blue.png": png((0, 0, 200))}
[PYTHON] = page("docs/grounding.md").section("Captions").blocks("python")
FULL, SMALL, HASHED = "Answered", "AnsweredSmall", "AnsweredHash"


@dataclass
class Ollama:
    """Answers as Ollama's API does, with how many bytes the picture has; fails at the one in `spoilt`."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    spoilt: bytes = b""

    def answer(self, request: dict[str, Any]) -> dict[str, str]:
        self.requests.append(request)
        [picture] = map(base64.b64decode, request["images"])
        if picture == self.spoilt:
            return {"error": "the model has no eyes for it"}
        return {"response": f" {len(picture)} bytes: {request['prompt']} "}


class GenerativeWeaviate(LocalWeaviate):
    """With a module that reads pictures, and one that does not."""

    def _environment(self) -> dict[str, str]:
        modules = "multi2vec-clip,generative-ollama,generative-dummy"
        return super()._environment() | {"ENABLE_MODULES": modules, "API_BASED_MODULES_DISABLED": "true"}


@pytest.fixture(scope="module")
def ollama() -> Iterator[Ollama]:
    model = Ollama()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(model.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    with running(HTTPServer(("127.0.0.1", 0), Handler)) as model.url:
        yield model


@pytest.fixture(scope="module")
def answering(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with GenerativeWeaviate(tmp_path_factory.mktemp("generative"), stack.vectorizer_url) as weaviate:
        own = Stack(weaviate.url, weaviate.grpc_port, weaviate.api_key, stack.vectorizer_url)
        for name, keep in ((FULL, "full"), (SMALL, "thumbnail"), (HASHED, "hash")):
            Place(own, name, keep).ingest(PICTURES)  # type: ignore[arg-type]
        yield own


def connect(stack: Stack, collection: str) -> ImageSearch:
    return ImageSearch.connect(
        stack.weaviate_url,
        grpc_port=stack.grpc_port,
        api_key=stack.api_key,
        vectorizer_url=stack.vectorizer_url,
        collection=collection,
    )


def model_at(ollama: Ollama) -> Any:
    return GenerativeConfig.ollama(api_endpoint=ollama.url, model="llava")


def test_the_model_gets_the_question_and_the_stored_picture(answering: Stack, ollama: Ollama) -> None:
    ollama.requests.clear()
    with connect(answering, FULL) as search:
        [answer] = search.answer("how many?", "red", model_at(ollama), limit=1)
        [hit] = search.by_text("red", limit=1)
    data = PICTURES[answer.path]
    assert answer.text == f"{len(data)} bytes: how many?"
    assert (answer.path, answer.id, answer.similarity) == (hit.path, hit.id, hit.similarity)
    assert [request["images"] for request in ollama.requests] == [[base64.b64encode(data).decode()]]
    assert ollama.requests[0]["model"] == "llava"


def test_one_picture_that_the_model_fails_at_spoils_no_other(answering: Stack, ollama: Ollama) -> None:
    ollama.spoilt = PICTURES["green.png"]
    with connect(answering, FULL) as search:
        answers = {each.path: each for each in search.answer("what is it?", provider=model_at(ollama), limit=3)}
    ollama.spoilt = b""
    assert set(answers) == set(PICTURES) and all(each.similarity is None for each in answers.values())
    assert "no eyes for it" in answers["green.png"].error and not answers["green.png"].text
    assert all(answers[path].text and not answers[path].error for path in ("red.png", "blue.png"))


def test_where_thumbnails_are_kept_the_model_gets_those(
    answering: Stack, ollama: Ollama, caplog: pytest.LogCaptureFixture
) -> None:
    ollama.requests.clear()
    with connect(answering, SMALL) as search, caplog.at_level(logging.WARNING):
        [answer] = search.answer("what is it?", provider=model_at(ollama), filters="path=red.png")
    assert answer.text and base64.b64decode(ollama.requests[0]["images"][0]).startswith(b"\xff\xd8")  # a JPEG
    assert "keeps thumbnails only, so answers are about those" in caplog.text


def test_both_clients_answer_alike(answering: Stack, ollama: Ollama) -> None:
    async def ask() -> Any:
        async with await AsyncImageSearch.connect(
            answering.weaviate_url,
            grpc_port=answering.grpc_port,
            api_key=answering.api_key,
            vectorizer_url=answering.vectorizer_url,
            collection=FULL,
        ) as search:
            return await search.answer("how many?", "red", model_at(ollama), limit=2)

    with connect(answering, FULL) as search:
        assert asyncio.run(ask()) == search.answer("how many?", "red", model_at(ollama), limit=2)


@pytest.mark.parametrize(
    ("collection", "provider", "question", "sentence"),
    [
        (FULL, "dummy", "how many?", "the module generative-dummy reads no pictures; "),
        (FULL, "openai", "how many?", "start it with ENABLE_MODULES=multi2vec-clip,generative-openai"),
        (FULL, "olama", "how many?", "did you mean ollama?"),
        (FULL, None, " ", "the question is empty"),
        (HASHED, "ollama", "how many?", "keeps no picture (clip-ingest --keep hash)"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(
    answering: Stack, collection: str, provider: str | None, question: str, sentence: str
) -> None:
    with connect(answering, collection) as search, pytest.raises(InputError) as refused:
        search.answer(question, "red", provider)
    assert sentence in str(refused.value)


def test_the_program_of_the_page_runs(answering: Stack, ollama: Ollama, capsys: pytest.CaptureFixture[str]) -> None:
    """By the settings of a module, since the one of the page is where the server looks for it."""
    program = connect_to(PYTHON, answering, FULL).replace('"ollama"', "model")
    exec(compile(program, "docs/grounding.md", "exec"), {"model": model_at(ollama)})
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_options_of_a_search_need_one(answering: Stack, ollama: Ollama) -> None:
    with connect(answering, FULL) as search, pytest.raises(InputError, match="alpha: for a search"):
        search.answer("how many?", provider=model_at(ollama), alpha=0.5)
