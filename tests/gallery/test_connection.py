"""The gallery's connection while Weaviate goes away."""

import asyncio
import time

import pytest

from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.gallery import connection
from clip_vectorizer.gallery.connection import GalleryConnection

VALUES = {
    "collections": (),
    "tenant": None,
    "weaviate_url": "http://127.0.0.1:1",
    "weaviate_grpc_port": 2,
    "weaviate_api_key": None,
}


async def answer() -> str:
    await asyncio.sleep(0.05)
    return "found"


async def hang() -> str:
    await asyncio.sleep(60)
    return "late"


def test_work_that_takes_long_goes_on_while_weaviate_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WATCH_SECONDS", 0.01)
    looked = []

    async def is_live(_: GalleryConnection) -> bool:
        looked.append(True)
        return True

    monkeypatch.setattr(GalleryConnection, "_is_live", is_live)
    assert asyncio.run(GalleryConnection(VALUES).watch(answer())) == "found"
    assert looked


def test_work_ends_with_a_sentence_soon_after_weaviate_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "WATCH_SECONDS", 0.01)
    began = time.monotonic()
    with pytest.raises(WeaviateUnreachable, match=r"http://127\.0\.0\.1:1"):
        asyncio.run(GalleryConnection(VALUES).watch(hang()))
    assert time.monotonic() - began < 10


def test_an_error_of_the_work_is_its_own() -> None:
    async def fail() -> None:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        asyncio.run(GalleryConnection(VALUES).watch(fail()))
