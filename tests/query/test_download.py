"""Images by address, from a server in this process."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import ImageSearch
from clip_vectorizer.query.image_inputs import download_image, is_http_url
from tests.http_server import running
from tests.query.fakes import INFO, FakeImages, FakeSidecar, picture
from tests.query.zeroshot_fakes import shelf


class Pictures(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path:
            case "/green.png":
                self.answer(200, picture("green"))
            case "/moved":
                self.answer(302, b"", Location="/green.png")
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
def test_an_image_may_be_named_by_its_address(server: str, path: str) -> None:
    search = ImageSearch(INFO, FakeSidecar(), FakeImages(), shelf)
    assert search.by_image(server + path, limit=1)[0].path == "green.png"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/lost.png", "/lost.png: the server says 404"),
        ("/circle", "/circle: cannot be downloaded"),
        ("/cut", "/cut: cannot be downloaded"),
        ("/nothing", "/nothing: the file is empty"),
    ],
)
def test_an_address_that_gives_no_image_is_named_with_the_reason(server: str, path: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ImageSearch(INFO, FakeSidecar(), FakeImages(), shelf).by_image(server + path)


def test_no_more_is_read_than_a_limit(server: str) -> None:
    with pytest.raises(InputError, match="larger than 20 bytes"):
        download_image(f"{server}/green.png", most_bytes=20)


def test_a_download_that_takes_too_long_ends(server: str) -> None:
    with pytest.raises(InputError, match="takes too long"):
        download_image(f"{server}/green.png", longest_seconds=-1)


@pytest.mark.parametrize("address", ["http://", "http://[", "http://127.0.0.1:1/x", "https://a b/"])
def test_nobody_at_an_address_is_an_input_error(address: str) -> None:
    with pytest.raises(InputError, match=r"cannot be downloaded|no answer"):
        download_image(address)


def test_only_http_is_an_address() -> None:
    assert is_http_url("https://example.org/a.png") and is_http_url("HTTP://example.org")
    assert (
        not is_http_url("ftp://example.org/a.png")
        and not is_http_url("/home/https.png")
        and not is_http_url(b"http://")
    )
