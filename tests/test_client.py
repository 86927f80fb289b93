"""The sidecar's client, with answers that each test defines."""

import base64
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.client import (
    CaptionerInfo,
    GrounderInfo,
    Regions,
    RegionVectors,
    VectorizerClient,
    lacks_stored_regions,
)
from clip_vectorizer.errors import ItemProblem, Mismatch, SettingsError, SidecarRefused, SidecarUnreachable
from clip_vectorizer.wire import MAX_BATCH_ITEMS, MAX_BATCH_SIZE, split_batches
from tests.fakes import INFO

URL = "http://sidecar.test:9090"
BROKEN = b"broken"
Handler = Callable[[httpx.Request], httpx.Response]


class Recorder:
    """A sidecar whose vector of an item is its length; notes how many items each request had."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/meta":
            return httpx.Response(200, json={**asdict(INFO), "version": "0.1.0"})
        if request.url.path != "/vectorize":  # as Weaviate's own container
            return httpx.Response(404, json={"detail": "Not Found"})
        body = json.loads(request.content)
        texts, images = body.get("texts", []), [base64.b64decode(image) for image in body.get("images", [])]
        self.sizes.append(len(texts) + len(images))
        for index, image in enumerate(images):
            if image == BROKEN:
                return httpx.Response(422, json=refusal(index))
        return httpx.Response(200, json={"textVectors": rows(texts), "imageVectors": rows(images)})


def refusal(index: int) -> dict[str, Any]:
    reason = "no image; send base64 of a JPEG file"
    return {
        "error": f"images[{index}]: {reason}",
        "item": {"field": "images", "index": index, "reason": reason},
        "refused": {str(index): "no image; it must be a JPEG file"},
    }


def rows(items: Sequence[str] | Sequence[bytes]) -> list[list[float]]:
    return [[float(len(item)), 1.0] for item in items]


def client(handler: Handler, url: str = URL) -> VectorizerClient:
    return VectorizerClient(url, transport=httpx.MockTransport(handler), busy_waits_seconds=(0.0, 0.0))


def answering(status: int, **response: Any) -> Handler:
    return lambda _request: httpx.Response(status, **response)


def test_it_reads_the_models_identity_and_ignores_other_fields_of_meta() -> None:
    assert client(Recorder()).meta() == INFO


def test_vectors_come_in_the_order_of_the_texts() -> None:
    vectors = client(Recorder()).embed_texts(["a", "bbb", "cc"])
    np.testing.assert_array_equal(vectors[:, 0], [1, 3, 2])
    assert vectors.dtype == np.float32


def test_files_travel_as_base64() -> None:
    np.testing.assert_array_equal(client(Recorder()).embed_images([b"\xff\x00", b"1"]), [[2, 1], [1, 1]])


def test_a_long_list_is_split_and_put_together_again() -> None:
    sidecar = Recorder()
    vectors = client(sidecar).embed_texts(["x" * length for length in range(1, 150)])
    assert sidecar.sizes == [64, 64, 21]
    np.testing.assert_array_equal(vectors[:, 0], range(1, 150))


def test_no_texts_are_no_vectors_of_the_models_dimension() -> None:
    assert client(Recorder()).embed_texts([]).shape == (0, INFO.dimension)


def test_a_refusal_in_a_later_part_names_the_callers_index() -> None:
    with pytest.raises(SidecarRefused, match=r"^images\[70\]: no image") as refusal:
        client(Recorder()).embed_images([b"fine"] * 70 + [BROKEN])
    assert refusal.value.status == 422


def test_each_image_gets_its_vector_or_its_own_refusal() -> None:
    good, bad, last = client(Recorder()).embed_each_image([b"1", BROKEN, b"333"])
    assert isinstance(bad, SidecarRefused) and str(bad) == "no image; it must be a JPEG file"
    assert not isinstance(good, SidecarRefused) and not isinstance(last, SidecarRefused)
    assert (good[0], last[0]) == (1, 3)


def test_no_images_get_no_answers() -> None:
    assert client(Recorder()).embed_each_image([]) == []


def test_a_refusal_that_is_not_about_an_image_stops_all() -> None:
    with pytest.raises(SidecarRefused, match="the model failed"):
        client(answering(500, json={"error": "the model failed"})).embed_each_image([b"1", b"2"])


def test_the_sidecars_own_sentence_is_kept() -> None:
    with pytest.raises(SidecarRefused, match=r"^at most 256 items$"):
        client(answering(413, json={"error": "at most 256 items"})).embed_texts(["a"])


@pytest.mark.parametrize("status", [502, 503])
def test_a_request_that_was_not_handled_is_sent_again(status: int) -> None:
    answers = iter([httpx.Response(status, json={"error": "the queue is full"})] * 2)
    sidecar = Recorder()
    assert len(client(lambda request: next(answers, None) or sidecar(request)).embed_texts(["a"])) == 1


def test_a_sidecar_that_stays_busy_is_a_refusal() -> None:
    with pytest.raises(SidecarRefused, match="the queue is full"):
        client(answering(503, json={"error": "the queue is full"})).embed_texts(["a"])


@pytest.mark.parametrize(
    "foreign",
    [{"text": "<html>hello"}, {"json": ["a"]}, {"json": {}}, {"json": {"textVectors": None}}, {"json": {"error": 7}}],
)
def test_an_answer_of_something_else_is_refused(foreign: dict[str, Any]) -> None:
    with pytest.raises(SidecarRefused, match=URL):
        client(answering(200, **foreign)).embed_texts(["a"])


@pytest.mark.parametrize("vectors", [[], [[1.0], [1.0]], [[]], [["a"]], [1.0], "ab"])
def test_anything_but_one_vector_an_item_is_refused(vectors: object) -> None:
    with pytest.raises(SidecarRefused, match="one vector for each of 1 items"):
        client(answering(200, json={"textVectors": vectors})).embed_texts(["a"])


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e39"])
def test_a_vector_that_is_not_finite_is_refused(number: str) -> None:
    with pytest.raises(SidecarRefused, match="NaN or infinity"):
        client(answering(200, content=f'{{"textVectors": [[{number}]]}}')).embed_texts(["a"])


def test_a_model_changed_between_requests_is_a_mismatch() -> None:
    answers = iter([[[1.0, 2.0]], [[1.0, 2.0, 3.0]]])
    sidecar = client(lambda _: httpx.Response(200, json={"textVectors": next(answers)}))
    sidecar.embed_texts(["a"])
    with pytest.raises(Mismatch, match="3 dimensions after 2"):
        sidecar.embed_texts(["a"])


def test_a_sigmoid_models_bias_is_read_and_an_earlier_sidecar_has_none() -> None:
    body = asdict(INFO)
    assert client(answering(200, json={**body, "logit_bias": -16.5})).meta() == replace(INFO, logit_bias=-16.5)
    del body["logit_bias"]
    assert client(answering(200, json=body)).meta().logit_bias is None


def test_a_sidecar_that_loads_its_model_is_not_reachable_yet() -> None:
    loading = answering(503, json={"error": "loading emoji; try again in a moment"})
    with pytest.raises(SidecarUnreachable, match="is not ready: loading emoji; try again"):
        client(loading).meta()


def test_the_error_for_meta_of_another_program_names_the_missing_fields() -> None:
    with pytest.raises(SidecarRefused, match=r"lacks model, revision, .*not a clip-vectorizer sidecar"):
        client(answering(200, json={"version": "1"})).meta()


def test_a_redirect_is_not_followed_and_not_taken_for_an_answer() -> None:
    with pytest.raises(SidecarRefused, match="answered 302"):
        client(answering(302, headers={"location": "/"})).embed_texts(["a"])


def test_warnings_of_the_sidecar_are_logged_with_the_callers_index(caplog: pytest.LogCaptureFixture) -> None:
    body = {"textVectors": [[1.0]] * MAX_BATCH_ITEMS, "warnings": ["texts[2]: ..."], "truncated": {"2": 77}}
    with caplog.at_level(logging.WARNING):
        client(answering(200, json=body)).embed_texts(["a"] * (2 * MAX_BATCH_ITEMS))
    cut = "longer than the 77 tokens that the model reads; the rest was cut"
    assert caplog.messages == [f"texts[2]: {cut}", f"texts[{MAX_BATCH_ITEMS + 2}]: {cut}"]


def test_warnings_of_another_program_are_logged_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    body = {"textVectors": [[1.0]], "warnings": ["a text was cut"]}
    with caplog.at_level(logging.WARNING):
        client(answering(200, json=body)).embed_texts(["a"])
    assert caplog.messages == ["a text was cut"]


@pytest.mark.parametrize("item", [None, 7, "images[1]", {}, {"field": "images", "index": "x", "reason": "no image"}])
def test_an_error_that_names_no_item_keeps_its_message(item: object) -> None:
    body = {"error": "images[1]: no image", "item": item}
    with pytest.raises(SidecarRefused, match=r"^images\[1\]: no image$") as refusal:
        client(answering(422, json=body)).embed_images([b"1"] * 70)
    assert refusal.value.problem is None


def test_an_error_has_the_position_and_the_reason_as_values() -> None:
    with pytest.raises(SidecarRefused) as refusal:
        client(Recorder()).embed_images([b"fine"] * 70 + [BROKEN])
    assert refusal.value.problem == ItemProblem("images", 70, "no image; send base64 of a JPEG file")
    assert refusal.value.refused == {70: "no image; it must be a JPEG file"}


def test_a_password_in_the_address_is_sent_and_never_shown() -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(SidecarUnreachable) as error:
        client(handler, "http://me:p%40ss@sidecar.test:9090/").meta()
    assert seen == ["Basic " + base64.b64encode(b"me:p@ss").decode()]
    assert "http://sidecar.test:9090 " in str(error.value) and "ss" not in str(error.value).replace("start", "")


@pytest.mark.parametrize("url", ["", "localhost:9090", "ftp://a", "http://", "http://a:port", "http://[::1"])
def test_an_address_that_cannot_be_one_names_its_variable(url: str) -> None:
    with pytest.raises(SettingsError, match="VECTORIZER_URL="):
        client(Recorder(), url)


def test_the_error_for_a_closed_port_has_the_command_to_start() -> None:
    with (
        VectorizerClient("http://127.0.0.1:1") as nowhere,
        pytest.raises(SidecarUnreachable, match=r"http://127\.0\.0\.1:1 .*`clip-vectorizer serve`"),
    ):
        nowhere.meta()


def test_waiting_ends_when_the_model_answers() -> None:
    answers = iter([httpx.Response(503, json={"error": "the model is loading"}), httpx.Response(204)])
    client(lambda _: next(answers)).wait_until_ready(seconds=10)


def test_the_error_after_waiting_has_the_last_answer() -> None:
    with pytest.raises(SidecarUnreachable, match="not ready after 0 s: the model is loading"):
        client(answering(503, json={"error": "the model is loading"})).wait_until_ready(seconds=0)


@given(st.lists(st.integers(0, MAX_BATCH_SIZE + 5), min_size=1, max_size=200))
def test_parts_cover_all_items_once_and_stay_within_the_limits(lengths: list[int]) -> None:
    items = [Long(length) for length in lengths]
    parts = list(split_batches(items))  # type: ignore[arg-type]
    assert [item for part in parts for item in items[part]] == items
    for part in parts:
        assert 1 <= part.stop - part.start <= MAX_BATCH_ITEMS
        assert part.stop - part.start == 1 or sum(lengths[part]) <= MAX_BATCH_SIZE


class Long:
    """Has the length of a long text, without its memory."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length


@pytest.mark.parametrize("lost", [httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
def test_a_request_whose_connection_is_lost_is_sent_once_more(lost: type[httpx.HTTPError]) -> None:
    failures = iter([lost("Server disconnected without sending a response.")])
    recorder = Recorder()

    def answer(request: httpx.Request) -> httpx.Response:
        for failure in failures:
            raise failure
        return recorder(request)

    with client(answer) as sidecar:
        np.testing.assert_array_equal(sidecar.embed_texts(["abc"]), [[3, 1]])


def test_a_connection_that_is_lost_again_is_an_unreachable_sidecar() -> None:
    requests = 0

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal requests
        requests += 1
        raise httpx.ReadError("reset")

    with client(answer) as sidecar, pytest.raises(SidecarUnreachable, match="no sidecar answers"):
        sidecar.embed_texts(["abc"])
    assert requests == 2


def regions_of(image: bytes) -> dict[str, Any]:
    """As many regions as the image has bytes."""
    count = len(image)
    vectors = [[float(count), 1.0]] * count
    return {"boxes": [[0.25, 0.0, 1.0, 0.5]] * count, "objectness": [0.5] * count, "vectors": vectors}


def answer_regions(request: httpx.Request) -> httpx.Response:
    body = json.loads(request.content)
    if request.url.path == "/regions":
        images = [base64.b64decode(image) for image in body["images"]]
        if BROKEN in images:
            return httpx.Response(422, json=refusal(images.index(BROKEN)))
        return httpx.Response(200, json={"regions": [regions_of(image) for image in images]})
    grounded = {
        "similarities": [[0.5, -1]] * len(body["phrases"]),
        "probabilities": [[0.5, 0.1]] * len(body["phrases"]),
    }
    return httpx.Response(200, json={**regions_of(b"ab"), **grounded, "truncated": {"1": 40}, "warnings": ["cut"]})


def test_each_image_has_its_regions_or_its_refusal() -> None:
    found = client(answer_regions).propose_regions([b"abc", BROKEN, b"a"], limit=5)
    first, broken, last = found
    assert isinstance(first, Regions) and isinstance(last, Regions) and isinstance(broken, SidecarRefused)
    assert first.boxes_n4.shape == (3, 4) and first.vectors_nd is None and last.objectness_n.tolist() == [0.5]
    assert str(broken) == "no image; it must be a JPEG file"
    assert client(answer_regions).propose_regions([]) == []


def test_regions_come_with_vectors_and_an_empty_list_is_no_error() -> None:
    some, none = client(answer_regions).propose_regions([b"ab", b""], vectors=True)
    assert isinstance(some, Regions) and some.vectors_nd is not None and some.vectors_nd.tolist() == [[2, 1], [2, 1]]
    assert isinstance(none, Regions) and none.boxes_n4.shape == (0, 4)


def test_phrases_are_compared_with_regions_and_a_cut_one_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = client(answer_regions).ground(b"ab", [["a cat"], ["a dog", "a hound"]])
    assert found.similarities_pn.shape == found.probabilities_pn.shape == (2, 2) and found.truncated == {1: 40}
    assert caplog.messages == ["phrases[1]: longer than the 40 tokens that the model reads; the rest was cut"]


GROUNDED = {"boxes": [[0, 0, 1, 1]], "objectness": [1], "similarities": [[0.5]], "probabilities": [[0.5]]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"boxes": [[0, 0, 1]]},
        {"boxes": [[1, 0, 0, 1]]},
        {"boxes": None},
        {"objectness": [1, 1]},
        {"objectness": ["x"]},
        {"similarities": [[0.5, 0.5]]},
        {"similarities": [[0.5], [0.5]]},
        {"probabilities": [[None]]},
        {"probabilities": [[1e300]]},
    ],
)
def test_regions_of_another_shape_and_numbers_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SidecarRefused, match="/ground answered"):
        client(answering(200, json={**GROUNDED, **wrong})).ground(b"x", [["a cat"]])


STORED = RegionVectors(np.array([[1, 0], [0, 1]], np.float32), np.array([0.5, np.nan], np.float32))


def test_stored_regions_are_sent_without_a_picture_and_null_is_an_unknown_objectness() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/ground" and json.loads(request.content) == {
            "regions": {"vectors": [[1, 0], [0, 1]], "objectness": [0.5, None]},
            "phrases": [["a cat"]],
        }
        return httpx.Response(200, json={"similarities": [[0.5, -1]], "probabilities": [[0.75, 0]]})

    found = client(answer).score_regions(STORED, [["a cat"]])
    assert (found.similarities_pn.tolist(), found.probabilities_pn.tolist()) == ([[0.5, -1]], [[0.75, 0]])
    assert found.truncated == {}


def test_scores_of_another_number_of_stored_regions_are_refused() -> None:
    with pytest.raises(SidecarRefused, match="/ground answered numbers of shape"):
        client(answering(200, json=GROUNDED)).score_regions(STORED, [["a cat"]])


@pytest.mark.parametrize(
    ("status", "sentence", "older"),
    [
        (404, "no such path", True),
        (405, "POST is not allowed", True),
        (400, 'image is missing; send {"image": "..."', True),
        (400, "regions.vectors: 0 regions", False),
        (503, "the queue is full", False),
    ],
)
def test_a_refusal_of_an_earlier_version_is_told_from_others(status: int, sentence: str, older: bool) -> None:
    with pytest.raises(SidecarRefused) as caught:
        client(answering(status, json={"error": sentence})).score_regions(STORED, [["a cat"]])
    assert lacks_stored_regions(caught.value) is older


@pytest.mark.parametrize("lists", [None, [], [1], [{}, {}]])
def test_a_list_of_regions_for_another_number_of_images_is_refused(lists: Any) -> None:
    with pytest.raises(SidecarRefused, match="/regions did not answer regions for each of 1 images"):
        client(answering(200, json={"regions": lists})).propose_regions([b"x"])


def test_no_grounder_is_raised_for_all_images_together() -> None:
    handler = answering(501, json={"error": "this sidecar finds no regions"})
    with pytest.raises(SidecarRefused, match="finds no regions"):
        client(handler).propose_regions([b"x", b"y"])


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({}, None),
        ({"grounder": None}, None),
        ({"grounder": {"name": "tiles", "revision": "1", "fused": False}}, GrounderInfo("tiles", "1", False)),
    ],
)
def test_the_grounder_is_read_from_meta(field: dict[str, Any], expected: GrounderInfo | None) -> None:
    assert client(answering(200, json={**asdict(INFO), **field})).grounder() == expected


def answer_captions(request: httpx.Request) -> httpx.Response:
    """The caption of a file is what it says; `?` is no image."""
    files = [base64.b64decode(text) for text in json.loads(request.content)["images"]]
    if b"?" in files:
        refused = {str(index): "no image" for index, file in enumerate(files) if file == b"?"}
        return httpx.Response(422, json={"error": "images[1]: no image", "refused": refused})
    return httpx.Response(200, json={"captions": [f"shows {file.decode()}" for file in files]})


def test_each_image_gets_its_caption_or_why_there_is_none() -> None:
    first, bad, last = client(answer_captions).caption_each_image([b"a", b"?", b"b"])
    assert (first, last) == ("shows a", "shows b")
    assert isinstance(bad, SidecarRefused) and str(bad) == "no image"
    assert client(answer_captions).caption_each_image([]) == []


@pytest.mark.parametrize("captions", [None, [], ["a", "b"], [1], [None], "a"])
def test_captions_for_another_number_of_images_are_refused(captions: Any) -> None:
    with pytest.raises(SidecarRefused, match="/caption did not answer a caption for each of 1 images"):
        client(answering(200, json={"captions": captions})).caption_each_image([b"x"])


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({}, None),
        ({"captioner": None}, None),
        ({"captioner": {"name": "coca:x"}}, None),
        ({"captioner": {"name": "coca:x", "revision": "1"}}, CaptionerInfo("coca:x", "1")),
    ],
)
def test_the_captioner_is_read_from_meta(field: dict[str, Any], expected: CaptionerInfo | None) -> None:
    assert client(answering(200, json={**asdict(INFO), **field})).captioner() == expected
