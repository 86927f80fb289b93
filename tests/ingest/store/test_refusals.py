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
        "fail with status 502: no sidecar answers",
    ],
)
def test_a_transient_reason_is_marked(reason: str) -> None:
    assert build_refusal(reason).transient


@pytest.mark.parametrize("reason", ["status 422: broken", "invalid text property 'brand' on class 'Image'"])
def test_another_reason_is_not(reason: str) -> None:
    assert not build_refusal(reason).transient


def test_the_sidecars_reason_is_rewritten_for_a_file() -> None:
    reason = VECTORIZER + "fail with status 422: images[0]: not an image; send base64 of a JPEG, PNG or WebP file"
    assert build_refusal(reason).reason == "not an image; it must be a JPEG, PNG or WebP file"


def test_the_text_around_weaviates_message_is_removed() -> None:
    reason = "put object: import into index image: shard abc: Validate vector index clip: dimensions do not match"
    assert build_refusal(reason).reason == "Validate vector index clip: dimensions do not match"


def test_a_missing_reason_is_replaced_and_a_long_one_is_cut() -> None:
    assert "without a reason" in build_refusal(" \n").reason
    assert len(build_refusal("x" * 9999).reason) == 300
