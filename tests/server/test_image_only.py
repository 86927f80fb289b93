"""A sidecar whose model has no text tower: images as ever, and one sentence for every way to send a text."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest

from clip_vectorizer.errors import NoTexts
from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.models.grounding.tiles import TileGrounder
from clip_vectorizer.server.app import build_app
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from clip_vectorizer.server.startup import warm_up
from tests.fakes import INFO, HashEncoder
from tests.server.clients import ORIGIN, RED

SENTENCE = (
    "hash is an image-only model: it has vectors of images and none of texts; search by image, or start a sidecar"
)
RED_TEXT = base64.b64encode(RED).decode()


class PictureEncoder(HashEncoder):
    info = replace(INFO, texts=False)

    def prepare_text(self, text: str) -> PreparedText:
        raise NoTexts(self.info.model)


def post(path: str, body: dict[str, Any]) -> httpx.Response:
    return asyncio.run(send(path, body))


async def send(path: str, body: dict[str, Any]) -> httpx.Response:
    service, encoder = Service(Settings().limits), PictureEncoder()
    service.use(encoder, grounder=TileGrounder(encoder))
    transport = httpx.ASGITransport(build_app(service, Settings()))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
        return await (client.post(path, json=body) if body else client.get(path))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/vectorize", {"texts": ["a drawing"]}),
        ("/vectorize", {"texts": ["a drawing"], "images": [RED_TEXT]}),
        ("/ground", {"image": RED_TEXT, "phrases": [["a lemon"]]}),
        ("/ground", {"regions": {"vectors": [[1.0] + [0.0] * 7], "objectness": [1.0]}, "phrases": [["a lemon"]]}),
    ],
)
def test_a_text_is_a_501_with_the_sentence(path: str, body: dict[str, Any]) -> None:
    answer = post(path, body)
    assert answer.status_code == 501 and answer.json()["error"].startswith(SENTENCE)


def test_a_text_of_openais_clients_is_an_error_in_their_form() -> None:
    answer = post("/v1/embeddings", {"model": "hash", "input": "a drawing"})
    assert answer.status_code == 501 and answer.json()["error"]["message"].startswith(SENTENCE)


def test_images_have_vectors_and_regions() -> None:
    vectors = post("/vectorize", {"images": [RED_TEXT]}).json()["imageVectors"]
    assert np.linalg.norm(vectors[0]) == pytest.approx(1, abs=1e-6)
    regions = post("/regions", {"images": [RED_TEXT], "limit": 2, "vectors": True})
    assert regions.status_code == 200, regions.text


def test_meta_says_that_there_are_no_texts() -> None:
    assert post("/meta", {}).json()["texts"] is False


def test_it_warms_up_without_a_text() -> None:
    warm_up(PictureEncoder(), 2)
