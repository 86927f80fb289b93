"""POST /regions and POST /ground, by a grounder that needs no weights."""

import json
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.boxes import place
from clip_vectorizer.errors import RequestRefused
from clip_vectorizer.models.grounding.tiles import cut_tiles
from clip_vectorizer.server.limits import Limits
from clip_vectorizer.server.routes.regions import parse_ground, parse_regions
from clip_vectorizer.server.settings import Settings
from tests.fakes import CONTEXT, DIMENSION, HashEncoder, vectors_of
from tests.server.clients import RED, base64_of, file_of, send

FIELDS = ("images", "image", "phrases", "limit", "vectors", "regions", "objectness")
PICTURE = Image.effect_noise((64, 48), 80).convert("RGB")
FILE = file_of(PICTURE)


def regions(images: Sequence[bytes], **request: Any) -> httpx.Response:
    return send("POST", "/regions", json={"images": list(map(base64_of, images)), **request})


def ground(image: bytes, phrases: Any, **request: Any) -> httpx.Response:
    return send("POST", "/ground", json={"image": base64_of(image), "phrases": phrases}, **request)


def test_each_image_gets_its_regions_the_most_object_like_first() -> None:
    answer = regions([FILE, RED], limit=5).json()
    first, second = (np.array(each["boxes"]) for each in answer["regions"])
    assert first.shape == (5, 4) and 1 <= len(second) <= 5
    assert np.all((first >= 0) & (first <= 1)) and np.all(first[:, :2] < first[:, 2:])
    scores = answer["regions"][0]["objectness"]
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 1
    assert "vectors" not in answer["regions"][0]


def test_regions_come_with_the_vectors_of_their_crops() -> None:
    answer = regions([FILE], limit=3, vectors=True).json()["regions"][0]
    crops = [HashEncoder().prepare_image(PICTURE, place(box, 64, 48)) for box in answer["boxes"]]
    expected = vectors_of([crop.tobytes() for crop in crops])
    assert np.array(answer["vectors"]).shape == (3, DIMENSION)
    np.testing.assert_allclose(answer["vectors"], expected, atol=1e-6)


def test_all_regions_are_compared_with_all_phrases() -> None:
    answer = ground(FILE, [["a cat"], ["a red apple", "an apple"]]).json()
    count = len(cut_tiles(64, 48))
    assert np.array(answer["boxes"]).shape == (count, 4)
    assert np.array(answer["similarities"]).shape == np.array(answer["probabilities"]).shape == (2, count)
    assert "warnings" not in answer


def test_the_similarity_is_the_cosine_of_the_phrase_and_the_crop() -> None:
    answer = ground(FILE, [["a cat"]]).json()
    crop = HashEncoder().prepare_image(PICTURE, place(answer["boxes"][4], 64, 48))
    cosine = vectors_of([b"a cat"]) @ vectors_of([crop.tobytes()]).T
    assert answer["similarities"][0][4] == pytest.approx(cosine.item(), abs=1e-6)


def test_a_phrase_that_was_cut_is_a_warning() -> None:
    answer = ground(FILE, [["a cat"], ["a" * 99]]).json()
    sentence = f"phrases[1]: longer than the {CONTEXT} tokens that the model reads; the rest was cut"
    assert answer["warnings"] == [sentence] and answer["truncated"] == {"1": CONTEXT}


def test_a_picture_of_one_pixel_is_one_region() -> None:
    pixel = file_of(Image.new("RGB", (1, 1), "red"))
    assert regions([pixel]).json()["regions"][0]["boxes"] == [[0, 0, 1, 1]]
    assert ground(pixel, [["a cat"]]).json()["boxes"] == [[0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("phrases", "status", "sentence"),
    [
        ([], 400, 'phrases is empty; send {"image": "...", "phrases": [["a prompt", "another"]]}'),
        ([["a cat"], []], 400, 'phrases[1]: it is empty; send one prompt or several, such as ["a red apple"]'),
        ([["a cat", " "]], 400, 'phrases[0]: it is empty; send one prompt or several, such as ["a red apple"]'),
        (
            [["a"]] * 10_000,
            413,
            "10000 phrases with 10000 prompts; one request takes 2048 (CLIP_MAX_ITEMS): send several",
        ),
        (["a cat"], 400, 'phrases[0] is a string; send {"image": "...", "phrases": [["a prompt", "another"]]}'),
    ],
)
def test_phrases_that_cannot_be_used_are_named(phrases: Any, status: int, sentence: str) -> None:
    answer = ground(FILE, phrases)
    assert (answer.status_code, answer.json()["error"]) == (status, sentence)


def test_an_empty_phrase_is_named_by_its_position() -> None:
    assert ground(FILE, [["a cat"], [""]]).json()["item"] == {
        "field": "phrases",
        "index": 1,
        "reason": 'it is empty; send one prompt or several, such as ["a red apple"]',
    }


@pytest.mark.parametrize("limit", [0, -3, 1_000_000_000])
def test_a_limit_of_regions_that_makes_no_sense_is_refused(limit: int) -> None:
    answer = regions([FILE], limit=limit)
    assert answer.status_code == 400
    assert answer.json()["error"] == f"limit is {limit}; send the most regions of one image, from 1 to 1000"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"images": "x"}, 'images is a string; send {"images": [...], "limit": 10, "vectors": false}'),
        ({"limit": 2.5}, 'limit is a number; send {"images": [...], "limit": 10, "vectors": false}'),
        ({"images": ["x"] * 257}, "257 images; one request takes 256 (CLIP_MAX_IMAGES): send several"),
    ],
)
def test_a_body_that_does_not_follow_the_protocol_is_refused(body: Any, sentence: str) -> None:
    assert send("POST", "/regions", json=body).json()["error"] == sentence


def test_every_unreadable_image_is_listed_and_the_first_one_is_the_error() -> None:
    answer = regions([RED, b"no image", RED, b""])
    body = answer.json()
    assert answer.status_code == 422 and body["item"]["field"] == "images" and body["item"]["index"] == 1
    assert body["error"].startswith("images[1]: ") and set(body["refused"]) == {"1", "3"}


def test_an_unreadable_image_of_ground_is_a_sentence() -> None:
    answer = ground(b"no image", [["a cat"]])
    assert answer.status_code == 422 and answer.json()["error"].startswith("image: ")
    missing = send("POST", "/ground", json={"phrases": [["a cat"]]})
    assert missing.json()["error"].startswith('image and regions are both missing; send {"image": "..."')


def test_an_image_with_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    answer = send("POST", "/ground", json={"image": base64_of(FILE), "phrases": [["a"]]}, max_pixels=100)
    assert answer.status_code == 413 and "CLIP_MAX_PIXELS" in answer.json()["error"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)


@given(body=st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_read_or_refused_with_a_sentence(body: bytes) -> None:
    for parse in (parse_regions, parse_ground):
        try:
            parse(body, Limits())
        except RequestRefused as error:
            assert len(str(error)) > 10


def score(regions: Any, phrases: Any = (["a cat"], ["a red apple", "an apple"]), **request: Any) -> httpx.Response:
    return send("POST", "/ground", json={"regions": regions, "phrases": phrases}, **request)


def test_regions_that_were_found_before_are_compared_without_a_picture() -> None:
    found = ground(FILE, [["a cat"], ["a red apple", "an apple"]]).json()
    crops = [HashEncoder().prepare_image(PICTURE, place(box, 64, 48)) for box in found["boxes"]]
    vectors_nd = 3 * vectors_of([crop.tobytes() for crop in crops])  # of any length
    answer = score({"vectors": vectors_nd.tolist(), "objectness": [0.5, *[None] * (len(crops) - 1)]})
    assert answer.status_code == 200 and set(answer.json()) == {"similarities", "probabilities"}
    for name in ("similarities", "probabilities"):
        np.testing.assert_allclose(answer.json()[name], found[name], atol=1e-5)


@pytest.mark.parametrize("grounder", ["none", "tiles"])
def test_regions_that_were_found_before_need_no_grounder(grounder: str) -> None:
    vectors_nd = vectors_of([b"a", b"b"])
    answer = score({"vectors": vectors_nd.tolist()}, [["a cat"]], settings=Settings(grounder=grounder))
    np.testing.assert_allclose(answer.json()["similarities"], vectors_of([b"a cat"]) @ vectors_nd.T, atol=1e-6)


def test_a_phrase_that_was_cut_is_a_warning_with_regions_too() -> None:
    answer = score({"vectors": vectors_of([b"a"]).tolist()}, [["a" * 99]]).json()
    assert answer["truncated"] == {"0": CONTEXT} and answer["warnings"][0].startswith("phrases[0]: longer than")


ROW = [1.0] * DIMENSION


@pytest.mark.parametrize(
    ("regions", "sentence"),
    [
        ({}, "regions.vectors: 0 regions; send 1 to 1000"),
        ({"vectors": [ROW] * 1001}, "regions.vectors: 1001 regions; send 1 to 1000"),
        (
            {"vectors": [[1.0, 2.0]]},
            f"regions.vectors: 2 numbers each, and hash has {DIMENSION} dimensions; send vectors",
        ),
        ({"vectors": [[]]}, "regions.vectors[0]: all numbers are 0, or one is too large"),
        ({"vectors": [ROW, ROW[:3]]}, f"regions.vectors[1]: 3 numbers after {DIMENSION}; send as many for each"),
        ({"vectors": [ROW, [0.0] * DIMENSION]}, "regions.vectors[1]: all numbers are 0, or one is too large"),
        ({"vectors": [[1e300] * DIMENSION]}, "regions.vectors[0]: all numbers are 0, or one is too large"),
        ({"vectors": [ROW], "objectness": [0.5, 0.5]}, "regions.objectness: 2 numbers for 1 vectors; send as many"),
        ({"vectors": [ROW], "objectness": [1.5]}, "regions.objectness[0] is 1.5; send 0 to 1, or null where it is not"),
        ({"vectors": [["x"]]}, 'regions.vectors[0][0] is a string; send {"regions": {"vectors": [[...]]'),
        ("x", 'regions is a string; send {"regions": {"vectors": [[...]]'),
    ],
)
def test_regions_that_cannot_be_used_are_named(regions: Any, sentence: str) -> None:
    answer = score(regions)
    assert answer.status_code == 400 and answer.json()["error"].startswith(sentence)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_of_a_region_that_is_none_is_refused(number: str) -> None:
    answer = send("POST", "/ground", content=b'{"phrases": [["a"]], "regions": {"vectors": [[%s]]}}' % number.encode())
    assert answer.status_code == 400 and len(answer.json()["error"]) > 10


def test_an_image_and_regions_are_refused_together() -> None:
    both = {"image": base64_of(FILE), "regions": {"vectors": [ROW]}, "phrases": [["a"]]}
    answer = send("POST", "/ground", json=both)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("image and regions are both there; send one of them: ")


def test_without_a_grounder_both_routes_name_the_way_out() -> None:
    without = Settings(grounder="none")
    for path, body in (("/regions", {"images": [base64_of(RED)]}), ("/ground", {"image": "aGk", "phrases": [["a"]]})):
        answer = send("POST", path, settings=without, json=body)
        assert answer.status_code == 501
        assert "--grounder auto" in answer.json()["error"]
    assert send("GET", "/meta", settings=without).json()["grounder"] is None


def test_meta_describes_the_grounder() -> None:
    grounder = send("GET", "/meta").json()["grounder"]
    assert grounder == {"name": "tiles", "revision": f"{'0' * 16}-tiles-1", "fused": False, "own_vectors": True}
