"""Each route makes its own sentence of the position and the reason of a bad item; the values are sent with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import EncoderFailed, ImageRefused, ItemProblem, ItemRefused, TooLarge, UnreadableImage
from clip_vectorizer.protocol import parse_image_problem
from clip_vectorizer.server.routes.item_errors import build_item_error, same_position
from clip_vectorizer.server.routes.vectorize import BASE64_IMAGE
from tests.server.clients import RED, base64_of, send, vectorize

GOOD, BAD = base64_of(RED), base64_of(b"some words")
REASON = "a text file, not an image"
FORMATS = "JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file"
FILE_REASON = f"{REASON}; it must be a {FORMATS}"


def test_the_first_bad_image_is_named_by_values_and_all_are_listed() -> None:
    fields = vectorize(json={"images": [GOOD, BAD, GOOD, BAD]}).json()
    reason = f"{REASON}; send base64 of a {FORMATS}"
    assert fields == {
        "error": f"images[1]: {reason}",
        "item": {"field": "images", "index": 1, "reason": reason},
        "refused": {"1": FILE_REASON, "3": FILE_REASON},
    }


def test_openai_clients_get_positions_in_their_own_list() -> None:
    fields = send("POST", "/v1/embeddings", json={"input": ["a text", {"image": GOOD}, {"image": BAD}]}).json()
    reason = f"{REASON}; it must be base64 of a {FORMATS}"
    assert fields["error"]["message"] == f"input[2]: {reason}"
    assert fields["item"] == {"field": "input", "index": 2, "reason": reason}
    assert fields["refused"] == {"2": FILE_REASON}


def test_too_many_pixels_is_a_sentence_without_a_hint() -> None:
    error = ItemRefused("images", 4, ImageRefused(413, "9 megapixels: send a smaller one"), {})
    refusal = build_item_error(error, "send a file", same_position)
    assert isinstance(refusal, TooLarge)
    assert refusal.problem == ItemProblem("images", 4, "9 megapixels: send a smaller one")


def test_a_failure_of_the_model_for_one_item_names_it() -> None:
    error = ItemRefused("texts", 2, EncoderFailed("the model gave NaN"), {})
    failure = build_item_error(error, "send a file", lambda field, index: ("input", index + 5))
    assert isinstance(failure, EncoderFailed)
    assert str(failure) == "input[7]: the model gave NaN; send the other items again without it"


@given(index=st.integers(0, 10_000), reason=st.text(min_size=1))
def test_what_weaviate_passes_on_of_an_image_is_read_as_it_was_written(index: int, reason: str) -> None:
    error = ItemRefused("images", index, ImageRefused(422, reason), {})
    refusal = build_item_error(error, BASE64_IMAGE, same_position)
    assert isinstance(refusal, UnreadableImage)
    assert parse_image_problem(str(refusal)) == f"{reason}; it must be a {FORMATS}"


@pytest.mark.parametrize("sentence", ["the queue is full", "texts[3]: the model failed", "images are missing", ""])
def test_any_other_sentence_stays_as_it_is(sentence: str) -> None:
    assert parse_image_problem(sentence) == sentence
