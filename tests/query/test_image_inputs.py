import gzip
import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.images.opener import encode_plain, make_upright
from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.image_inputs import (
    download_image,
    embed_image,
    embed_images,
    is_http_url,
    read_limited,
)
from tests.http_server import LOOPBACK, running
from tests.query.fakes import INFO, FakeImages, FakeSidecar, picture, vector_of
from tests.query.zeroshot_fakes import stores

ORIENTATION, TURNED = 0x0112, 6  # EXIF: the top row is the right side


def test_a_path_a_str_bytes_and_a_pil_image_give_the_same_vector(tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(picture("red"))
    for given in (path, str(path), path.read_bytes(), Image.new("RGB", (5, 5), "red")):
        np.testing.assert_allclose(embed_image(given, FakeSidecar()), vector_of("red"), atol=1e-6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "F"])
def test_every_mode_of_pillow_can_be_encoded(mode: str) -> None:
    with Image.open(io.BytesIO(encode_plain(make_upright(Image.new(mode, (3, 2)))))) as sent:
        assert sent.size == (3, 2)


def test_an_image_is_rotated_by_its_exif() -> None:
    image = Image.new("RGB", (4, 2))
    image.getexif()[ORIENTATION] = TURNED
    with Image.open(io.BytesIO(encode_plain(make_upright(image)))) as sent:
        assert sent.size == (2, 4)
    assert image.size == (4, 2)


def test_unreadable_files_are_reported_in_place_and_by_name(tmp_path: Path) -> None:
    good, empty, text = tmp_path / "good.png", tmp_path / "empty.png", tmp_path / "text.png"
    good.write_bytes(picture("blue"))
    empty.touch()
    text.write_text("no image")
    given = [good, tmp_path / "none.png", empty, tmp_path, text, good]
    [batch] = embed_images(given, FakeSidecar())
    assert [each.path for each in batch] == [str(path) for path in given]
    assert [each.error for each in batch] == [
        "",
        "No such file or directory",
        "the file is empty (0 bytes)",
        "a folder, and one image is expected; name a file in it",
        "not an image",
        "",
    ]


def test_images_are_sent_in_batches_as_they_are_read() -> None:
    sidecar = FakeSidecar()
    batches = embed_images((picture("red") for _ in range(70)), sidecar)
    assert len(next(batches)) == 32 and sidecar.batches == [32]
    assert [len(batch) for batch in batches] == [32, 6]


def test_images_without_a_path_are_numbered_across_batches() -> None:
    names = [each.path for batch in embed_images([picture("red")] * 40, FakeSidecar()) for each in batch]
    assert names == [f"images[{index}]" for index in range(40)]


def test_one_unreadable_image_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.png: No such file"):
        embed_image(tmp_path / "none.png", FakeSidecar())


def test_an_endless_file_does_not_fill_the_memory() -> None:
    with pytest.raises(InputError, match="larger than 5 bytes"):
        read_limited(io.BytesIO(b"123456"), 5)
    assert read_limited(io.BytesIO(b"12345"), 5) == b"12345"


def test_an_impossible_file_name_is_an_input_error() -> None:
    with pytest.raises(InputError, match="null byte"):
        embed_image("a\0b", FakeSidecar())


def test_a_long_name_is_shortened_in_the_message() -> None:
    with pytest.raises(InputError) as refused:
        embed_image("a/" * 2_000, FakeSidecar())
    assert len(str(refused.value)) < 300


class Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/green.png":
                self.answer(200, picture("green"))
            case "/moved":
                self.answer(302, b"", Location="/green.png")
            case "/packed":
                self.answer(200, gzip.compress(bytes(50_000_000)), **{"Content-Encoding": "gzip"})
            case "/away":
                self.answer(302, b"", Location="http://[::1]/green.png")
            case "/circle":
                self.answer(302, b"", Location="/circle")
            case "/cut":
                self.answer(200, b"half", **{"Content-Length": "1000"})
            case "/nothing":
                self.answer(200, b"")
            case _:
                self.answer(404, b"no such picture")

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Pictures)) as address:
        yield address


@pytest.mark.parametrize("path", ["/green.png", "/moved"])
def test_an_image_may_be_an_address(server: str, path: str) -> None:
    search = ImageSearch(INFO, FakeSidecar(), FakeImages(), stores, LOOPBACK)
    assert search.by_image(server + path, limit=1)[0].path == "green.png"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/lost.png", "/lost.png: the server returned 404"),
        ("/circle", "/circle: cannot be downloaded"),
        ("/cut", "/cut: cannot be downloaded"),
        ("/nothing", "/nothing: the file is empty"),
    ],
)
def test_the_error_for_a_failed_download_has_address_and_reason(server: str, path: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ImageSearch(INFO, FakeSidecar(), FakeImages(), stores, LOOPBACK).by_image(server + path)


def test_a_download_has_a_limit_of_bytes(server: str) -> None:
    with pytest.raises(InputError, match="larger than 20 bytes"):
        download_image(f"{server}/green.png", LOOPBACK, max_bytes=20)


def test_a_compressed_response_is_not_unpacked(server: str) -> None:
    """Otherwise 50 kB could become 50 MB."""
    data = download_image(f"{server}/packed", LOOPBACK, max_bytes=1_000_000)
    assert data.startswith(b"\x1f\x8b") and len(data) < 100_000


def test_a_download_has_a_limit_of_time(server: str) -> None:
    with pytest.raises(InputError, match="takes too long"):
        download_image(f"{server}/green.png", LOOPBACK, timeout_seconds=-1)


@pytest.mark.parametrize("address", ["http://", "http://[", "http://127.0.0.1:1/x", "https://a b/"])
def test_an_unreachable_address_is_an_input_error(address: str) -> None:
    with pytest.raises(InputError, match=r"cannot be downloaded|no response"):
        download_image(address, LOOPBACK)


def test_only_http_and_https_are_downloaded() -> None:
    assert is_http_url("https://example.org/a.png") and is_http_url("HTTP://example.org")
    assert (
        not is_http_url("ftp://example.org/a.png")
        and not is_http_url("/home/https.png")
        and not is_http_url(b"http://")
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_an_address_that_is_not_public_is_refused_unless_it_is_allowed(server: str, host: str) -> None:
    address = f"{server.replace('127.0.0.1', host)}/green.png"
    with pytest.raises(InputError, match=r"only public addresses are opened.* --allow-address "):
        ImageSearch(INFO, FakeSidecar(), FakeImages(), stores).by_image(address)
    [result] = ImageSearch(INFO, FakeSidecar(), FakeImages(), stores).classify([address], ["red", "green"])
    assert "--allow-address" in result.error


def test_a_redirect_to_an_address_that_is_not_allowed_is_refused(server: str) -> None:
    with pytest.raises(InputError, match=r"/away: ::1 is an address of this machine"):
        ImageSearch(INFO, FakeSidecar(), FakeImages(), stores, LOOPBACK).by_image(f"{server}/away")


def test_an_allowed_address_is_classified(server: str) -> None:
    search = ImageSearch(INFO, FakeSidecar(), FakeImages(), stores, LOOPBACK)
    [result] = search.classify([f"{server}/green.png"], ["red", "green"])
    assert result.error == "" and result.label == "green"
