"""POST /vectorize/images: a form of files in, numpy's file format out."""

import io
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.errors import BadRequest
from clip_vectorizer.server.routes.vectorize import parse_boundary, parse_files
from tests.server.clients import RED, base64_of, file_of, send, vectorize

BLUE = file_of(Image.new("RGB", (6, 6), "blue"))


def send_files(*files: bytes, **more: Any) -> httpx.Response:
    return send("POST", "/vectorize/images", files=[("any", ("x.png", file)) for file in files], **more)


def form(body: bytes) -> httpx.Response:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    return send("POST", "/vectorize/images", content=body, headers=headers)


def test_rows_come_in_the_order_of_the_parts() -> None:
    answer = send_files(RED, BLUE, RED)
    assert answer.headers["content-type"] == "application/x-npy"
    rows = np.load(io.BytesIO(answer.content))
    fields = vectorize(json={"images": [base64_of(RED), base64_of(BLUE)]}).json()
    red, blue = np.array(fields["imageVectors"], dtype=np.float32)
    np.testing.assert_array_equal(rows, [red, blue, red])
    assert (rows.dtype, rows.flags.c_contiguous) == (np.float32, True)


def test_an_empty_form_is_an_empty_array() -> None:
    assert np.load(io.BytesIO(form(b"--b--\r\n").content)).shape == (0, 8)


def test_all_bad_files_are_named() -> None:
    fields = send_files(RED, b"no", b"", BLUE).json()
    assert fields["error"].startswith("images[1]: not an image that can be read; send a JPEG")
    assert fields["refused"].keys() == {"1", "2"}
    assert fields["refused"]["2"].startswith("0 bytes; it must be")


def test_base64_has_the_same_fields() -> None:
    fields = vectorize(json={"images": ["?", base64_of(RED), base64_of(b"no")]}).json()
    assert fields["error"].startswith("images[0]: not base64; ")
    assert fields["refused"].keys() == {"0", "2"}


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary="])
def test_a_body_that_is_no_form_is_a_400_with_an_example(kind: str) -> None:
    answer = send("POST", "/vectorize/images", content=b"x", headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "curl --form" in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"nonsense",
        b"--b\r\nA: b\r\n\r\nfile\r\n",
        b"--b\r\nno empty line\r\n--b--",
        b"--bad\r\n\r\nfile\r\n--b--",
        b"--b\r\n" + b"X: y\r\n" * 10_000 + b"\r\n\r\nfile\r\n--b--",
    ],
)
def test_a_broken_form_is_a_400(body: bytes) -> None:
    answer = form(body)
    assert answer.status_code == 400, answer.text
    assert "form" in answer.json()["error"]


def test_too_many_files_are_a_413_before_they_are_looked_at() -> None:
    answer = send_files(*[b"no image"] * 4, max_items=3)
    assert answer.status_code == 413
    assert "CLIP_MAX_ITEMS" in answer.json()["error"]


@given(
    files=st.lists(st.binary(max_size=40), max_size=5),
    boundary=st.text("abcXYZ0-'", min_size=1, max_size=70),
    before=st.sampled_from([b"", b"\r\n", b"preamble\r\n"]),
    after=st.sampled_from([b"", b"\r\n", b"\r\nepilogue"]),
)
def test_any_files_come_back_as_they_went_in(files: list[bytes], boundary: str, before: bytes, after: bytes) -> None:
    line = b"--" + boundary.encode()
    if any(line in b"\r\n" + file for file in files):
        return  # a sender chooses another boundary then
    parts = [line + b"\r\nContent-Disposition: form-data; name=x\r\n\r\n" + file + b"\r\n" for file in files]
    body = before + b"".join(parts) + line + b"--" + after
    assert (
        parse_files(body, parse_boundary(f'multipart/form-data; boundary="{boundary}"'), lambda _count: None) == files
    )


@given(body=st.binary(max_size=200).map(lambda middle: b"--b\r\n" + middle))
def test_no_bytes_make_the_parser_fail_otherwise(body: bytes) -> None:
    try:
        parse_files(body, b"b", lambda _count: None)
    except BadRequest as error:
        assert str(error)
