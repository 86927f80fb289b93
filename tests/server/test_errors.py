"""The error contract: every failure is `{"error": "<sentence>"}`: 4xx for a fault of the request, 5xx for the rest."""

import json
import struct
import zlib

import httpx
import pytest
from PIL import Image

from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.service import Service
from clip_vectorizer.server.settings import Settings
from tests.fakes import free
from tests.server.clients import RED, base64_of, file_of, send, vectorize

GOOD = base64_of(RED)
NOISE = file_of(Image.effect_noise((64, 64), 90))


def sentence_of(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    fields = answer.json()
    assert fields.keys() - {"item", "refused"} == {"error"}
    assert isinstance(fields["error"], str)
    return fields["error"]


def bomb(side: int = 30_000) -> bytes:
    """A PNG of `side` x `side` pixels by its header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(b""), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks
    )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"texts": [' + b"[" * 100_000, "texts[0] is a list"),
        (b"[" * 100_000, "the body is a list"),
        (b"[]", "the body is a list"),
        (b"7", "the body is a number"),
        (b"null", "the body is null"),
        (b'{"texts": "banana"}', "texts is a string"),
        (b'{"images": {"0": "x"}}', "images is an object"),
        (b'{"texts": ["a", 7]}', "texts[1] is a number"),
        (b'{"images": ["x", null]}', "images[1] is null"),
        (b'{"texts": [["a"]]}', "texts[0] is a list"),
        (b'{"texts": [true]}', "texts[0] is a boolean"),
    ],
)
def test_an_invalid_body_is_a_400_with_the_valid_form(body: bytes, expected: str) -> None:
    sentence = sentence_of(vectorize(content=body), 400)
    assert expected in sentence
    assert "send" in sentence


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("not base64 at all!", "not base64"),
        ("ä", "not base64"),
        ("abcde", "not base64"),
        ("", "0 bytes"),
        ("data:image/png;base64,", "0 bytes"),
        (base64_of(b"just some words"), "not an image"),
        (base64_of(NOISE[: len(NOISE) // 2]), "broken or truncated"),
        (base64_of(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"), "a PostScript file"),
    ],
)
def test_a_bad_image_is_a_422_that_names_its_index(image: str, expected: str) -> None:
    sentence = sentence_of(vectorize(json={"images": [GOOD, image, GOOD]}), 422)
    assert sentence.startswith("images[1]: ")
    assert expected in sentence


def test_a_bomb_is_refused_from_its_header() -> None:
    sentence = sentence_of(vectorize(json={"images": [GOOD, base64_of(bomb())]}), 413)
    assert "images[1]: 30000 x 30000" in sentence
    assert "CLIP_MAX_PIXELS" in sentence


def test_too_many_items_are_a_413() -> None:
    assert "CLIP_MAX_ITEMS" in sentence_of(vectorize(json={"texts": ["a"] * 4}, max_items=3), 413)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("size", [101, 350, 100_000])
def test_a_body_over_the_limit_is_a_413_announced_or_streamed(size: int, streamed: bool) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        for _ in range(0, size, 50):
            yield b"x" * 50

    content = pieces() if streamed else b"x" * size
    assert "CLIP_MAX_BODY_BYTES" in sentence_of(vectorize(content=content, max_body_bytes=100), 413)


def test_half_a_surrogate_pair_is_a_400_that_names_it() -> None:
    assert "surrogate" in sentence_of(vectorize(content=b'{"texts": ["fine", "\\ud83d"]}'), 400)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/path", 404),
        ("GET", "/vectorize", 405),
        ("PUT", "/vectorize", 405),
        ("POST", "/meta", 405),
        ("POST", "/.well-known/ready", 405),
    ],
)
def test_a_wrong_path_or_method_is_json_too(method: str, path: str, status: int) -> None:
    assert path in sentence_of(send(method, path), status)


def test_a_model_that_fails_is_a_500_that_names_the_item() -> None:
    def fail(_items: object, _rows: object) -> None:
        raise RuntimeError("out of memory")

    sentence = sentence_of(vectorize(free(fail), json={"texts": ["a"]}), 500)
    assert sentence.startswith("texts[0]: ")
    assert "out of memory" in sentence


def test_a_crash_is_a_500_with_a_sentence() -> None:
    class Crashing(type(free())):  # type: ignore[misc]
        def prepare_text(self, text: str) -> None:
            raise KeyError(text)

    assert "KeyError" in sentence_of(vectorize(Crashing(), json={"texts": ["a"]}), 500)


def test_one_broken_image_fails_its_request_and_no_other() -> None:
    good, bad = vectorize(json={"images": [GOOD]}), vectorize(json={"images": ["?"]})
    assert len(good.json()["imageVectors"]) == 1
    sentence_of(bad, 422)


def test_without_a_model_all_but_live_is_a_503_with_the_reason() -> None:
    import asyncio

    from clip_vectorizer.server.app import build_app

    service = Service(Limits())
    service.status = "loading emoji; try again in a moment"

    async def answers() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=build_app(service, Settings()))
        async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as client:
            body = json.dumps({"texts": ["a"]}).encode()
            paths = ("/.well-known/ready", "/meta", "/.well-known/live")
            return [await client.post("/vectorize", content=body), *[await client.get(path) for path in paths]]

    *refused, live = asyncio.run(answers())
    assert live.status_code == 204
    for answer in refused:
        assert "loading emoji" in sentence_of(answer, 503)


@pytest.mark.parametrize(("path", "status"), [("/vectorize", 401), ("/meta", 401), ("/.well-known/ready", 204)])
def test_with_a_password_set_a_stranger_gets_to_the_probes_only(path: str, status: int) -> None:
    closed = Settings(basic_auth="weaviate:secret")
    answer = send("GET" if status == 204 else "POST", path, settings=closed)
    assert answer.status_code == status
    assert status == 204 or "user:password@" in answer.json()["error"]
    assert vectorize(json={"texts": ["a"]}, settings=closed, auth=("weaviate", "secret")).status_code == 200
    assert vectorize(json={"texts": ["a"]}, settings=closed, auth=("weaviate", "wrong")).status_code == 401


@pytest.mark.parametrize("path", ["/vectorize", "/v1/embeddings"])
def test_a_million_items_are_refused_before_they_are_read(path: str) -> None:
    field = "texts" if path == "/vectorize" else "input"
    answer = send("POST", path, content=b'{"%s": [%s""]}' % (field.encode(), b'"",' * 1_000_000))
    assert answer.status_code == 413, answer.text
    assert "over 100000 items" in answer.text
