"""POST /v1/embeddings: what OpenAI's clients send and expect, for texts and images."""

import base64
from typing import Any

import httpx
import numpy as np
import pytest

from tests.fakes import CONTEXT, free
from tests.server.clients import RED, base64_of, send, vectorize

URI = "data:image/png;base64," + base64_of(RED)


def embeddings(body: Any, **more: Any) -> httpx.Response:
    return send("POST", "/v1/embeddings", more.pop("encoder", None), json=body, **more)


def rows_of(answer: httpx.Response) -> np.ndarray[Any, Any]:
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)


def error_of(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


def test_data_comes_in_the_order_of_the_input_for_mixed_kinds() -> None:
    answer = embeddings({"input": ["a", URI, {"text": "b"}, {"image": base64_of(RED)}, {"image": URI}]})
    fields = vectorize(json={"texts": ["a", "b"], "images": [URI]}).json()
    a, b, red = *fields["textVectors"], *fields["imageVectors"]
    np.testing.assert_array_equal(rows_of(answer), np.array([a, red, b, red, red], dtype=np.float32))
    assert [entry["index"] for entry in answer.json()["data"]] == list(range(5))


@pytest.mark.parametrize("given", ["a", {"text": "a"}, ["a"]])
def test_a_single_input_needs_no_list(given: object) -> None:
    assert rows_of(embeddings({"input": given})).shape == (1, 8)


def test_base64_is_of_float32_lowest_byte_first() -> None:
    plain, packed = (embeddings({"input": ["a", "b"], "encoding_format": kind}) for kind in ("float", "base64"))
    unpacked = [np.frombuffer(base64.b64decode(entry["embedding"]), dtype="<f4") for entry in packed.json()["data"]]
    np.testing.assert_array_equal(rows_of(plain), unpacked)


def test_usage_counts_the_tokens_that_the_model_read() -> None:
    usage = embeddings({"input": ["abc", "x" * 100, URI]}).json()["usage"]
    assert usage == {"prompt_tokens": 3 + CONTEXT, "total_tokens": 3 + CONTEXT}


def test_a_cut_text_is_named_by_its_position() -> None:
    assert embeddings({"input": [URI, "x" * 100]}).json()["warnings"][0].startswith("input[1]: ")


@pytest.mark.parametrize("name", ["hash", "HASH", None])
def test_our_model_goes_by_its_name(name: str | None) -> None:
    answer = embeddings({"input": "a", "model": name})
    assert answer.json()["model"] == "hash"


def test_another_model_is_a_404_that_names_ours() -> None:
    error = error_of(embeddings({"input": "a", "model": "text-embedding-3-small"}), 404)
    assert "'hash'" in error["message"]
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, "there is no input"),
        ({"input": 7}, "input is a number"),
        ({"input": [1, 2]}, "tokens"),
        ({"input": [[1, 2]]}, "tokens"),
        ({"input": [{}]}, "input[0]"),
        ({"input": [{"text": "a", "image": "b"}]}, "both"),
        ({"input": "a", "encoding_format": "hex"}, "float nor base64"),
        ({"input": "a", "dimensions": 4}, "dimensions is 4"),
        ([], "the body is a list"),
    ],
)
def test_an_invalid_request_is_a_400_with_the_reason(body: object, expected: str) -> None:
    assert expected in error_of(embeddings(body), 400)["message"]


def test_the_own_dimension_may_be_requested() -> None:
    assert rows_of(embeddings({"input": "a", "dimensions": 8})).shape == (1, 8)


def test_bad_images_are_named_by_their_place_all_of_them() -> None:
    answer = embeddings({"input": ["a", "data:image/png;base64,bm8=", URI, {"image": "?"}]})
    assert error_of(answer, 422)["message"].startswith("input[1]: not an image")
    assert answer.json()["refused"].keys() == {"1", "3"}


def test_a_model_that_fails_is_a_server_error() -> None:
    def fail(_items: object, _rows: object) -> None:
        raise RuntimeError("out of memory")

    error = error_of(embeddings({"input": "a"}, encoder=free(fail)), 500)
    assert error["message"].startswith("input[0]: ")
    assert error["type"] == "server_error"


def test_the_list_of_models_holds_ours() -> None:
    [entry] = send("GET", "/v1/models").json()["data"]
    assert entry["id"] == "hash"


def test_too_many_inputs_are_a_413() -> None:
    assert "CLIP_MAX_ITEMS" in error_of(embeddings({"input": ["a"] * 4}, max_items=3), 413)["message"]
