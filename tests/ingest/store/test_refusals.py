import pytest

from ingest.store.weaviate import build_refusal

VECTORIZER = "vectorize target vector clip: update vector: send POST request: "


@pytest.mark.parametrize(
    "reason",
    [
        "fail with status 503: the queue is full",
        "fail with status 504: late",
        'send POST request: Post "http://x/vectorize": context deadline exceeded (Client.Timeout exceeded)',
        'resolve node name "local" to host',
        "store is read-only",
    ],
)
def test_what_may_pass_is_marked_so(reason: str) -> None:
    assert build_refusal(reason).passing


@pytest.mark.parametrize("reason", ["status 422: broken", "invalid text property 'brand' on class 'Image'"])
def test_what_will_not_pass_is_not(reason: str) -> None:
    assert not build_refusal(reason).passing


def test_what_the_sidecar_said_of_an_image_is_said_of_the_file() -> None:
    reason = VECTORIZER + "fail with status 422: images[0]: not an image; send base64 of a JPEG, PNG or WebP file"
    assert build_refusal(reason).reason == "not an image; it must be a JPEG, PNG or WebP file"


def test_weaviates_own_words_stay_without_their_wrapping() -> None:
    reason = "put object: import into index image: shard abc: Validate vector index clip: dimensions do not match"
    assert build_refusal(reason).reason == "Validate vector index clip: dimensions do not match"


def test_a_refusal_without_words_says_so_and_a_long_one_ends() -> None:
    assert "does not say why" in build_refusal(" \n").reason
    assert len(build_refusal("x" * 9999).reason) == 300
