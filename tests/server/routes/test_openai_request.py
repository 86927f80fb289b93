"""What OpenAI's clients send beyond texts: modality, images as strings, unknown fields, long lists, other paths."""

import base64
import io
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.server.routes.openai_request import describe_plain_image, name_format
from tests.server.clients import RED, base64_of, file_of, send, vectorize

BARE = base64_of(RED)
URI = "data:image/png;base64," + BARE
ADDRESS = "https://example.com/pictures/Owl.JPG?size=2"
FORMATS = {"JPEG": "jpeg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "TIFF": "tiff", "AVIF": "avif"}


def embeddings(given: object, **body: Any) -> httpx.Response:
    return send("POST", "/v1/embeddings", json={"input": given, **body})


def rows(answer: httpx.Response) -> np.ndarray[Any, Any]:
    assert answer.status_code == 200, answer.text
    return np.array([entry["embedding"] for entry in answer.json()["data"]], dtype=np.float32)


def message(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return str(error["message"])


def image_row() -> np.ndarray[Any, Any]:
    return np.array(vectorize(json={"images": [BARE]}).json()["imageVectors"], dtype=np.float32)


def text_row(text: str) -> np.ndarray[Any, Any]:
    return np.array(vectorize(json={"texts": [text]}).json()["textVectors"], dtype=np.float32)


@pytest.mark.parametrize("given", [BARE, URI, [BARE], [{"image": BARE}], BARE.rstrip("="), f"\n{BARE}\n"])
def test_modality_image_makes_every_string_an_image(given: object) -> None:
    np.testing.assert_array_equal(rows(embeddings(given, modality="image")), image_row())


@pytest.mark.parametrize("given", ["an owl", BARE, URI, ADDRESS])
def test_modality_text_makes_every_string_a_text(given: str) -> None:
    answer = embeddings(given, modality="text")
    np.testing.assert_array_equal(rows(answer), text_row(given))
    notes = [note for note in answer.json().get("warnings", []) if "embedded as the text that it is" in note]
    assert bool(notes) == (given != "an owl")


@pytest.mark.parametrize("given", ["data:application/octet-stream;base64," + BARE, "DATA:IMAGE/PNG;base64," + BARE])
def test_a_data_uri_of_an_image_is_one_whatever_its_type(given: str) -> None:
    np.testing.assert_array_equal(rows(embeddings(given)), image_row())


@pytest.mark.parametrize("modality", ["audio", "video", "", "Image"])
def test_any_other_modality_is_refused(modality: str) -> None:
    assert "send text or image" in message(embeddings("a", modality=modality))


@pytest.mark.parametrize(
    ("item", "modality", "expected"),
    [
        (BARE, None, "input[1]: base64 of an image (PNG): send modality image"),
        (ADDRESS, None, "input[1]: the address of an image, which is not fetched"),
        ("s3://bucket/owl.tif", None, "input[1]: the address of an image"),
        ("data:audio/wav;base64,UklGRg==", None, "input[1]: a data URI of audio/wav"),
        ({"text": "an owl"}, "image", "but modality is image"),
        ({"image": BARE}, "text", "but modality is text"),
    ],
)
def test_what_is_plainly_not_meant_is_a_400_with_its_position(
    item: object, modality: str | None, expected: str
) -> None:
    first: object = {"image": BARE} if modality == "image" else "an owl"
    answer = embeddings([first, item], **({"modality": modality} if modality else {}))
    assert expected in message(answer)
    assert answer.json()["item"]["index"] == 1


def test_a_text_that_looks_like_an_image_is_embedded_where_it_is_named_a_text() -> None:
    np.testing.assert_array_equal(
        rows(embeddings([{"text": ADDRESS}, {"text": BARE}])), [*text_row(ADDRESS), *text_row(BARE)]
    )


def test_an_address_of_a_page_is_a_text_and_a_warning() -> None:
    answer = embeddings(["an owl", "https://example.com/owls"])
    np.testing.assert_array_equal(rows(answer)[1:], text_row("https://example.com/owls"))
    assert answer.json()["warnings"][0].startswith("input[1]: is an address, which is not fetched")


@pytest.mark.parametrize("item", [{"image": ADDRESS}, ADDRESS])
def test_an_address_as_an_image_is_refused_because_nothing_is_fetched(item: object) -> None:
    answer = embeddings([item], modality="image")
    assert message(answer, 422).startswith("input[0]: an address, which is not fetched; it must be base64")
    assert answer.json()["refused"].keys() == {"0"}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("safe", [False, True])
def test_base64_of_each_format_is_known_by_its_first_letters(kind: str, safe: bool) -> None:
    file = file_of(Image.effect_noise((20, 20), 60).convert("P" if kind == "GIF" else "RGB"), kind)
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    assert name_format(encode(file).decode()) == FORMATS[kind]


def test_the_smallest_gif_is_known() -> None:
    buffer = io.BytesIO()
    Image.new("P", (1, 1)).save(buffer, "GIF")
    assert name_format(base64_of(buffer.getvalue())) == "gif"


@given(text=st.text(max_size=200))
def test_a_text_is_not_taken_for_an_image(text: str) -> None:
    assert describe_plain_image(text) == ""


@given(words=st.text(alphabet="ABCDEFabcdef0123456789+/_-", min_size=48, max_size=100))
def test_neither_is_a_long_word_of_base64_letters(words: str) -> None:
    assert describe_plain_image(words) == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"input": "a", "input_type": "query"}, "the field 'input_type' is unknown"),
        ({"messages": [], "input": "a"}, "the field 'messages' is unknown"),
        ({"input": [{"text": "a", "imag": "b"}]}, "input[0]: the field 'imag' is unknown"),
        ({"input": {"url": "b"}}, "input: the field 'url' is unknown"),
        ({"input": "a", "modality": 3}, "modality is a number"),
        ({"input": "a", "dimensions": "8"}, "dimensions is a string"),
        ({"input": []}, "input is an empty list"),
        ({"input": [[1, 2]]}, "check_embedding_ctx_length=False"),
    ],
)
def test_a_field_that_nothing_obeys_is_refused_by_its_name(body: object, expected: str) -> None:
    sentence = message(send("POST", "/v1/embeddings", json=body))
    assert expected in sentence
    if "is unknown" in expected and not expected.startswith("input"):
        assert "input, model, encoding_format, dimensions, user and modality" in sentence


@pytest.mark.parametrize(
    "more",
    [
        {"user": "me", "encoding_format": "float", "dimensions": 8, "model": "hash"},
        {"user": None, "encoding_format": None, "dimensions": None, "model": None, "modality": None},
    ],
)
def test_the_fields_of_openais_clients_are_accepted(more: dict[str, object]) -> None:
    np.testing.assert_array_equal(rows(embeddings("an owl", **more)), text_row("an owl"))


def test_langchains_thousand_texts_are_one_request() -> None:
    assert rows(embeddings([f"text {number}" for number in range(2048)])).shape == (2048, 8)


def test_more_are_refused_with_the_name_of_the_client_s_own_setting() -> None:
    assert "chunk_size" in message(embeddings(["a"] * 2049), 413)


@pytest.mark.parametrize("route", ["/v1/embeddings", "/vectorize"])
def test_images_have_a_limit_of_their_own(route: str) -> None:
    body = {"input": [URI] * 4} if route.startswith("/v1") else {"images": [BARE] * 4}
    answer = send("POST", route, json=body, max_images=3)
    assert answer.status_code == 413
    assert "4 images; one request takes 3 (CLIP_MAX_IMAGES)" in answer.text
    assert send("POST", route, json=body, max_images=4).status_code == 200


def test_a_model_is_found_by_its_name() -> None:
    found = send("GET", "/v1/models/HASH")
    assert found.json() == send("GET", "/v1/models").json()["data"][0]
    assert "'other/model' is not served here; this sidecar has 'hash'" in message(
        send("GET", "/v1/models/other/model"), 404
    )
    assert send("POST", "/v1/models/hash").status_code == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/embeddings"),
        ("GET", "/models"),
        ("POST", "/v1/v1/embeddings"),
        ("POST", "/v1/embeddings/embeddings"),
        ("POST", "/openai/deployments/clip/embeddings"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1"),
    ],
)
def test_a_wrong_base_url_is_answered_where_the_client_shows_it(method: str, path: str) -> None:
    sentence = message(send(method, path, json={"input": "a"} if method == "POST" else None), 404)
    assert "embeddings are at /v1/embeddings, so end the base URL of the client in /v1" in sentence


def test_other_wrong_paths_keep_the_error_of_weaviates_module() -> None:
    assert isinstance(send("POST", "/vectorise", json={}).json()["error"], str)
