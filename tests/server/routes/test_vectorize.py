import asyncio
import base64
import textwrap

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.server.codec import decode_base64_image
from tests.fakes import CONTEXT, HashEncoder, Scripted
from tests.server.clients import ORIGIN, RED, base64_of, client_of, send, vectorize

PLAIN = base64_of(RED)


def test_the_answer_holds_a_unit_row_for_each_item_in_order() -> None:
    fields = vectorize(json={"texts": ["a", "b", "a"], "images": [PLAIN]}).json()
    rows = np.array(fields["textVectors"] + fields["imageVectors"])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(rows[0], rows[2])
    encoder = HashEncoder()
    expected = encoder.encode_texts([encoder.prepare_text(text) for text in "ab"])
    np.testing.assert_array_equal(np.float32(rows[:2]), expected)


@pytest.mark.parametrize("body", [{}, {"texts": None, "images": None}, {"texts": [], "other": 1}])
def test_the_answer_to_an_empty_request_has_both_lists(body: dict[str, object]) -> None:
    assert vectorize(json=body).json() == {"textVectors": [], "imageVectors": []}


def test_an_empty_text_has_a_vector() -> None:
    assert len(vectorize(json={"texts": [""]}).json()["textVectors"]) == 1


@pytest.mark.parametrize("path", ["//vectorize", "/vectorize/", "/vectorize"])
def test_slashes_too_many_do_no_harm(path: str) -> None:
    answer = send("POST", ORIGIN + path, json={"texts": ["a"]})
    assert answer.status_code == 200, answer.text


def test_a_text_longer_than_the_context_is_cut_with_a_warning() -> None:
    fields = vectorize(json={"texts": ["short", "x" * (CONTEXT + 1)]}).json()
    assert len(fields["textVectors"]) == 2
    assert fields["warnings"] == [f"texts[1]: longer than the {CONTEXT} tokens that the model reads; the rest was cut"]


def test_a_text_longer_than_any_context_is_cut_before_it_is_read() -> None:
    assert "texts[0]" in vectorize(json={"texts": ["x" * 50]}, max_text_characters=10).json()["warnings"][0]


def test_probes_answer_204_and_meta_describes_the_model() -> None:
    assert send("GET", "/.well-known/live").status_code == 204
    assert send("GET", "/.well-known/ready").status_code == 204
    meta = send("GET", "/meta").json()
    assert (meta["model"], meta["dimension"], meta["logit_scale"]) == ("hash", 8, 100.0)
    assert meta["logit_bias"] is None  # a softmax model
    assert len(meta["pixel_check"]) == 16
    assert meta["version"]


def test_meta_does_not_wait_behind_inference() -> None:
    encoder = Scripted()

    async def both() -> tuple[httpx.Response, httpx.Response]:
        async with client_of(encoder) as client:
            busy = asyncio.create_task(client.post("/vectorize", json={"texts": ["a"]}))
            while not encoder.batches:
                await asyncio.sleep(0.001)
            meta = await client.get("/meta")
            assert not busy.done()
            encoder.free.set()
            return meta, await busy

    meta, vectors = asyncio.run(both())
    assert (meta.status_code, vectors.status_code) == (200, 200)


@pytest.mark.parametrize(
    "spelling",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.urlsafe_b64encode(RED).decode(),
        "data:image/png;base64," + PLAIN,
        "\n".join(textwrap.wrap(PLAIN, 20)) + "\r\n",
    ],
    ids=["standard", "unpadded", "url-safe", "data URI", "wrapped"],
)
def test_every_spelling_of_base64_gives_the_same_vector(spelling: str) -> None:
    assert vectorize(json={"images": [spelling]}).content == vectorize(json={"images": [PLAIN]}).content


@settings(max_examples=200, deadline=None)
@given(data=st.binary(min_size=1, max_size=60), padded=st.booleans(), url_safe=st.booleans())
def test_base64_comes_back_as_the_bytes_that_went_in(data: bytes, padded: bool, url_safe: bool) -> None:
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    text = encode(data).decode()
    assert decode_base64_image(text if padded else text.rstrip("=")) == data
