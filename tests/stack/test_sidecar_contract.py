"""The sidecar process as Weaviate and curl see it: every answer is JSON, every failure one `error` sentence."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest

from tests.stack.images import bomb, png, truncated_png
from tests.stack.support import Stack, base64_of

pytestmark = pytest.mark.stack

GOOD = base64_of(png())


def refusal(answer: httpx.Response) -> str:
    """The sentence of a failure; Weaviate reads `error` as a string and ignores other fields."""
    assert answer.headers["content-type"].startswith("application/json")
    body: dict[str, Any] = answer.json()
    assert isinstance(body["error"], str)
    assert " " in body["error"]
    assert "textVectors" not in body
    assert "imageVectors" not in body
    return body["error"]


@pytest.mark.parametrize(
    ("image", "status"),
    [
        pytest.param("not base64 at all!", 422, id="not base64"),
        pytest.param(base64_of(b"just some words, no picture"), 422, id="not an image"),
        pytest.param(base64_of(truncated_png()), 422, id="truncated"),
        pytest.param("", 422, id="0 bytes"),
        pytest.param(base64_of(bomb()), 413, id="30,000 x 30,000 bomb"),
    ],
)
def test_a_bad_image_is_refused_by_index(stack: Stack, image: str, status: int) -> None:
    answer = stack.vectorize(images=[GOOD, image, GOOD])
    assert answer.status_code == status, answer.text
    assert "images[1]" in refusal(answer)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"{", 400, id="not JSON"),
        pytest.param(b"\xff\xfe", 400, id="not UTF-8"),
        pytest.param(b"[]", 400, id="a list"),
        pytest.param(b'{"texts": "banana"}', 400, id="a text, not a list"),
        pytest.param(b'{"images": {"0": "x"}}', 400, id="an object, not a list"),
        pytest.param(json.dumps({"texts": ["a"] * 100_000}).encode(), 413, id="too many items"),
    ],
)
def test_a_bad_body_is_refused(stack: Stack, body: bytes, status: int) -> None:
    answer = stack.sidecar("POST", "/vectorize", body)
    assert answer.status_code == status, answer.text
    refusal(answer)


@pytest.mark.parametrize("body", [b'{"texts": ["banana", 7]}', b'{"images": ["", null]}', b'{"texts": ["a", null]}'])
def test_an_item_that_is_no_string_is_refused_by_index(stack: Stack, body: bytes) -> None:
    answer = stack.sidecar("POST", "/vectorize", body)
    assert answer.status_code in (400, 422), answer.text
    assert "[1]" in refusal(answer)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/no/such/route", 404), ("GET", "/vectorize", 405)])
def test_a_wrong_route_or_method_is_refused_in_json(stack: Stack, method: str, path: str, status: int) -> None:
    answer = stack.sidecar(method, path)
    assert answer.status_code == status
    refusal(answer)


def test_vectors_are_unit_rows_of_the_dimension_in_meta(stack: Stack) -> None:
    meta = stack.sidecar("GET", "/meta").json()
    answer = stack.vectorize(texts=["banana", "香蕉"], images=[GOOD]).json()
    vectors = np.array(answer["textVectors"] + answer["imageVectors"])
    assert vectors.shape == (3, meta["dimension"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_answer_has_both_lists_for_texts_or_images_alone(stack: Stack) -> None:
    assert stack.vectorize(texts=["banana"]).json()["imageVectors"] == []
    assert stack.vectorize(images=[GOOD]).json()["textVectors"] == []


def test_a_trailing_slash_in_the_origin_does_no_harm(stack: Stack) -> None:
    answer = stack.sidecar("POST", "//vectorize", b'{"texts": ["banana"]}')
    assert answer.status_code == 200
    assert answer.json()["textVectors"] == stack.vectorize(texts=["banana"]).json()["textVectors"]


@pytest.mark.parametrize("probe", ["live", "ready"])
def test_a_serving_sidecar_is_live_and_ready(stack: Stack, probe: str) -> None:
    answer = stack.sidecar("GET", f"/.well-known/{probe}")
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_text_longer_than_the_context_is_cut_with_a_warning(stack: Stack) -> None:
    answer = stack.vectorize(texts=["banana", "banana " * 300])
    assert answer.status_code == 200
    [warning] = answer.json()["warnings"]
    assert "texts[1]" in warning
    assert not stack.vectorize(texts=["banana"]).json().get("warnings")


def test_the_same_image_in_two_requests_gets_equal_bits(stack: Stack) -> None:
    image = base64_of(png((12, 90, 200)))
    first, second = (stack.vectorize(images=[image]).content for _ in range(2))
    assert first == second


def test_parallel_requests_get_their_own_answers_among_bad_ones(stack: Stack) -> None:
    images = [base64_of(png((10 * n, 255 - 10 * n, 128), side=40 + n)) for n in range(16)]
    poison = base64_of(truncated_png())
    mixed = [image for pair in zip(images, [poison] * 16, strict=True) for image in pair]
    alone = [stack.vectorize(images=[image]).json()["imageVectors"][0] for image in images]
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda image: stack.vectorize(images=[image]), mixed))
    assert [answer.status_code for answer in answers] == [200, 422] * 16
    together = [answer.json()["imageVectors"][0] for answer in answers[::2]]
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_meta_describes_the_model(stack: Stack) -> None:
    meta = stack.sidecar("GET", "/meta").json()
    assert meta["model"] == "emoji"
    assert {"revision", "dimension", "preprocessing", "logit_scale", "version"} <= meta.keys()
