"""The client and the real app: image files are sent unchanged, and a bad one fails alone."""

from collections.abc import Callable

import httpx
import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import SidecarRefused
from clip_vectorizer.wire import build_form
from tests.server.clients import RED, file_of, serving
from tests.server.counting import Counting

PICTURES = [file_of(Image.new("RGB", (8, 8), (shade, 0, 0))) for shade in range(70)]


def test_files_and_base64_give_the_same_bits() -> None:
    with serving(Counting()) as sidecar, VectorizerClient(sidecar.url) as client:
        by_file = client.embed_images(PICTURES)
        by_text = httpx.post(f"{sidecar.url}/vectorize", json={"images": texts_of(PICTURES)}).json()["imageVectors"]
    np.testing.assert_array_equal(by_file, np.array(by_text, dtype=np.float32))


def texts_of(files: list[bytes]) -> list[str]:
    import base64

    return [base64.b64encode(file).decode() for file in files]


@pytest.mark.parametrize("bad", [[0], [69], [0, 1, 2], [63, 64], list(range(70)), []])
def test_each_bad_file_has_its_reason_and_each_good_one_its_vector(bad: list[int]) -> None:
    files = [b"no image" if index in bad else picture for index, picture in enumerate(PICTURES)]
    encoder = Counting()
    with serving(encoder) as sidecar, VectorizerClient(sidecar.url) as client:
        outcomes = client.embed_each_image(files)
        expected = client.embed_images(PICTURES)
    for index, outcome in enumerate(outcomes):
        if index in bad:
            assert isinstance(outcome, SidecarRefused)
            assert str(outcome).startswith("a text file, not an image; it must be a JPEG")
        else:
            np.testing.assert_array_equal(outcome, expected[index])


def test_good_files_in_a_request_with_bad_ones_are_encoded_once() -> None:
    encoder = Counting()
    with serving(encoder) as sidecar, VectorizerClient(sidecar.url) as client:
        client.embed_each_image([b"?", *PICTURES[:20], b"?"])
    assert encoder.images == 20


def test_a_picture_over_the_limit_is_refused_alone() -> None:
    with serving(Counting(), max_pixels=100) as sidecar, VectorizerClient(sidecar.url) as client:
        small, large = client.embed_each_image([RED, file_of(Image.new("RGB", (20, 20)))])
    assert not isinstance(small, SidecarRefused)
    assert isinstance(large, SidecarRefused)
    assert "CLIP_MAX_PIXELS" in str(large)


def requested_paths(answer: Callable[[httpx.Request], httpx.Response], times: int) -> list[str]:
    paths = []

    def handler(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return answer(request)

    with VectorizerClient("http://sidecar.test", transport=httpx.MockTransport(handler)) as client:
        for _ in range(times):
            client.embed_images([b"x"])
    return paths


def test_a_container_without_the_route_gets_one_request_for_it() -> None:
    def upstream(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/vectorize":
            return httpx.Response(200, json={"textVectors": [], "imageVectors": [[1.0]]})
        return httpx.Response(404, json={"detail": "Not Found"})

    assert requested_paths(upstream, 2) == ["/vectorize/images", "/vectorize", "/vectorize"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"{}", b"x" * 200])
def test_an_answer_that_is_no_array_is_refused(content: bytes) -> None:
    with pytest.raises(SidecarRefused, match="one vector for each of 1 items"):
        requested_paths(lambda _: httpx.Response(200, content=content), 1)


def test_a_key_is_sent_and_opens() -> None:
    with serving(Counting(), api_keys=("one", "two")) as sidecar:
        with VectorizerClient(sidecar.url, api_key="two") as client:
            assert client.embed_texts(["a"]).shape == (1, 8)
        with VectorizerClient(sidecar.url) as stranger, pytest.raises(SidecarRefused, match="VECTORIZER_API_KEY"):
            stranger.embed_texts(["a"])


def test_no_two_forms_share_a_boundary() -> None:
    assert build_form([b"x"])[1] != build_form([b"x"])[1]
