"""What cannot work is a sentence in the page and a way on, and the next request works."""

import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from tests.gallery.browsing import Visitor
from tests.gallery.conftest import Visit
from tests.gallery.in_process import serving_pages
from tests.http_server import running
from tests.stack.images import bomb, truncated_png
from tests.stack.other_model import other_model
from tests.stack.support import EXAMPLES, Stack, http

pytestmark = pytest.mark.stack

MB = 2**20
HUGE_BYTES = 100 * MB
MOST_GROWTH = 32 * MB  # of the memory, while two of them are sent; measured: below 1 MB
LETTERS = 10_000
CAT = (EXAMPLES / "animals" / "cat.png").read_bytes()


def assert_goes_on(visitor: Visitor) -> None:
    """The same page searches as before."""
    visitor.search("red apple")
    expect(visitor.first).to_have_attribute("data-path", "fruit/red-apple.png")
    expect(visitor.page.locator("#problem")).to_have_count(0)


def expect_problem(visitor: Visitor, *words: str) -> None:
    problem = visitor.page.get_by_role("alert").filter(visible=True)
    expect(problem).to_be_visible()
    for word in words:
        expect(problem).to_contain_text(word)
    assert "Traceback" not in problem.inner_text()


def test_a_picture_of_100_mb_is_refused_in_the_page(visit: Visit) -> None:
    visitor = visit("/?q=red", failures=True)
    visitor.page.evaluate(
        """(size) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([new Uint8Array(size)], "huge.png", {type: "image/png"}));
          const options = {dataTransfer: transfer, bubbles: true, cancelable: true};
          document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        HUGE_BYTES,
    )
    expect_problem(visitor, "25 MB")
    assert_goes_on(visitor)


def test_a_picture_of_100_mb_is_refused_without_javascript(visit: Visit, tmp_path: Path) -> None:
    with (huge := tmp_path / "huge.png").open("wb") as file:
        file.truncate(HUGE_BYTES)
    visitor = visit("/?q=red", failures=True, java_script_enabled=False)
    visitor.page.set_input_files("#file", huge)
    visitor.follow(visitor.page.locator("#drop button"))
    expect_problem(visitor, "25 MB")
    visitor.follow(visitor.page.locator("#problem a").last)
    expect(visitor.page.locator("#q")).to_be_visible()


def test_a_huge_picture_is_not_read_into_memory(gallery: str, gallery_process: "subprocess.Popen[str]") -> None:
    """Sent with its length and, as a program may, without it."""
    assert http("GET", f"{gallery}/?q=red").status_code == 200
    own = psutil.Process(gallery_process.pid)
    before = own.memory_info().rss
    for length in ({"Content-Length": str(HUGE_BYTES)}, {}):
        answer = send_slowly(gallery, HUGE_BYTES, length)
        assert answer.status_code == 400 and "25 MB" in answer.text
    assert own.memory_info().rss - before < MOST_GROWTH
    assert http("GET", f"{gallery}/?q=red").status_code == 200


def send_slowly(address: str, size: int, headers: dict[str, str]) -> httpx.Response:
    """A form in pieces of one megabyte, as far as the other side takes it."""
    form = {"Content-Type": "multipart/form-data; boundary=x", **headers}
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="huge.png"\r\n\r\n'

    def pieces() -> Iterator[bytes]:
        yield head
        left = size - len(head)
        while left > 0:
            yield bytes(min(MB, left))
            left -= MB

    return http("POST", f"{address}/image", content=pieces(), headers=form)


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("broken.png", truncated_png(), "broken.png"),
        ("notes.png", b"these are words", "notes.png"),
        ("bomb.png", bomb(), "bomb.png"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(visit: Visit, name: str, data: bytes, words: str) -> None:
    visitor = visit("/?q=guitar", failures=True)
    visitor.drop(name, data)
    expect_problem(visitor, words)
    expect(visitor.first).to_have_attribute("data-path", "musical instruments/guitar.png")
    visitor.drop("cat.png", CAT)
    visitor.page.wait_for_url(re.compile("image=sha256"))
    expect(visitor.page.locator("#problem")).to_have_count(0)


@pytest.mark.parametrize("letter", ["a", "草"])
def test_ten_thousand_letters_are_searched_or_refused_with_a_sentence(visit: Visit, letter: str) -> None:
    """They are pasted; 10,000 Chinese letters make an address of 90,000."""
    visitor = visit("/", failures=True)
    visitor.page.fill("#q", (letter * 99 + " ") * (LETTERS // 100))
    visitor.page.press("#q", "Enter")
    visitor.page.wait_for_url(re.compile(r"\?q="))
    expect(visitor.page.locator("#problem, .card").first).to_be_visible()
    visitor.open("/")
    assert_goes_on(visitor)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("where=gone%3D1", "gone"),
        ("where=lable%3Dfruit", "label"),
        ("q=red&where=label", "label"),
        ("q=red&group-by=gone", "gone"),
        ("q=red&property=gone", "gone"),
        ("like=gone.png", "gone.png"),
        ("like=b7a4cb6e-3a65-5a31-9e3c-000000000000", "b7a4cb6e"),
        (f"image=sha256:{'0' * 64}", "drop the picture again"),
        ("q=red&limit=0", "limit"),
        ("q=red&limit=-1", "limit"),
        ("q=red&limit=99999999999999999999", "limit"),
        ("q=red&limit=ten", "limit"),
        ("q=red&offset=-1", "offset"),
        ("q=red&offset=99999999", "offset"),
        ("q=red&min-similarity=nan", "min-similarity"),
        ("q=red&diversity=2", "diversity"),
        ("q=red&captions=x", "captions"),
        ("q=red&after=x", "after"),
        ("after=x", "after"),
        ("per-group=2&q=red", "per-group"),
        ("lable=fruit", "lable"),
        ("json=1", "json"),
        ("weaviate-url=http://evil.example", "weaviate-url"),
        ("vector=/etc/passwd", "vector"),
        ("q=%00", "NUL"),
        (f"q=red&{'&'.join(['plus=x'] * 300)}", "parameters"),
        (f"q={'x' * 30_000}", "30,00"),
    ],
)  # fmt: skip
def test_an_address_that_cannot_work_is_a_page_with_the_reason(gallery: str, query: str, words: str) -> None:
    answer = http("GET", f"{gallery}/?{query}")
    assert answer.status_code == 400, answer.text
    [problem] = re.findall(r'<div id="problem" role="alert"[^>]*>(.*?)</div>', answer.text, re.DOTALL)
    assert words in problem
    assert 'href="/' in problem, "there is a way on"
    fragment = http("GET", f"{gallery}/?{query}", headers={"X-Fragment": "results"})
    assert fragment.status_code == 400 and words in fragment.text and "<html" not in fragment.text
    lines = http("GET", f"{gallery}/search.json?{query}")
    assert lines.status_code == 400 and lines.json()["error"]


@pytest.mark.parametrize(
    "query", ["q=%ff%fe", "q=%ED%A0%80", "q=%E2%80%AE", "q=%F0%9F%8D%8E", "q=a%0Ab", "q=+++", "&&=&", "q=%"]
)
def test_odd_letters_are_words_like_others(gallery: str, query: str) -> None:
    answer = http("GET", f"{gallery}/?{query}")
    assert answer.status_code == 200 and answer.text.count('class="card"') > 0


def test_an_address_of_a_megabyte_is_refused_with_a_sentence(gallery: str) -> None:
    answer = http("GET", f"{gallery}/?q={'x' * 60_000}")
    assert answer.status_code == 400 and "search with less text" in answer.text


@pytest.mark.parametrize("name", ["q", "like", "plus", "minus", "move-to", "image", "where"])
def test_no_parameter_makes_the_gallery_fetch_an_address(gallery: str, name: str) -> None:
    asked: list[str] = []

    class Counting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with running(HTTPServer(("127.0.0.1", 0), Counting)) as url:
        base = "" if name in ("q", "like", "image", "where") else "q=red&"
        answer = http("GET", f"{gallery}/?{base}{name}={quote(url + '/x.png', safe='')}")
    assert asked == []
    assert answer.status_code == (200 if name in ("q", "plus", "minus", "move-to") else 400)


def test_two_tabs_do_not_disturb_each_other(visit: Visit) -> None:
    first = visit("/?q=red+apple")
    second = Visitor(first.page.context.new_page(), first.address)
    second.page.goto(f"{first.address}/?q=guitar")
    second.drop("cat.png", CAT)
    first.drop("heart.png", (EXAMPLES / "hearts" / "red-heart.png").read_bytes())
    second.page.wait_for_url(re.compile("image=sha256"))
    first.page.wait_for_url(re.compile("image=sha256"))
    expect(first.page.locator("#q")).to_have_value("red apple")
    expect(second.page.locator("#q")).to_have_value("guitar")
    first.page.reload()
    expect(first.page.locator("#chips")).to_contain_text("heart.png")
    expect(second.page.locator("#chips")).to_contain_text("cat.png")
    second.open(first.page.url.removeprefix(first.address))
    expect(second.page.locator("#chips")).to_contain_text("heart.png")


def test_many_requests_at_once_are_answered_each_with_its_own(gallery: str) -> None:
    words = ["red apple", "guitar", "strawberry", "blue heart"]

    def find_first(text: str) -> str:
        return str(http("GET", f"{gallery}/search.json?q={quote_plus(text)}&limit=1").json()["path"])

    alone = [find_first(text) for text in words]
    assert len(set(alone)) == len(words)
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(find_first, words * 6)) == alone * 6


def test_a_collection_of_another_model_is_a_sentence_in_the_page(visit: Visit, stack: Stack, examples: str) -> None:
    with (
        other_model(stack.vectorizer_url) as url,
        serving_pages(replace(stack, vectorizer_url=url), examples) as address,
    ):
        visitor = visit("/?q=red", address=address, failures=True)
        expect_problem(visitor, "emoji", "other")
        assert http("GET", f"{address}/?q=red").status_code == 409
        assert http("GET", f"{address}/ready").status_code == 503


def test_a_collection_that_does_not_exist_is_a_sentence_in_the_page(visit: Visit, stack: Stack) -> None:
    with serving_pages(stack, "Nowhere") as address:
        visitor = visit("/", address=address, failures=True)
        expect_problem(visitor, "Nowhere", "--collection")
