"""The pure functions of the page, in Chromium: addresses, moves in the grid, counts, what a clipboard holds."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clip_vectorizer.gallery.address import Address, make_path
from tests.images.browser import open_page

SOURCE = Path(__file__).parents[2] / "clip_vectorizer" / "gallery" / "static" / "state.js"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call() -> Iterator[Call]:
    """Calls a function of state.js by its name."""
    run = "([source, name, given]) => import(source).then((state) => state[name](...given))"
    with open_page() as page:
        page.route(
            "http://localhost/state.js", lambda route: route.fulfill(path=SOURCE, content_type="text/javascript")
        )
        page.route(
            "http://localhost/", lambda route: route.fulfill(body="<title>state</title>", content_type="text/html")
        )
        page.goto("http://localhost/")
        yield lambda name, *given: page.evaluate(run, ["http://localhost/state.js", name, list(given)])


def test_the_address_of_a_form_is_the_one_that_the_server_writes(call: Call) -> None:
    fields = [
        ("q", "a red & green äpple + 2*x"),
        ("where", "label=fruit|birds"),
        ("min-similarity", " "),
        ("image", ""),
    ]
    expected = make_path(Address(tuple(pair for pair in fields if pair[1].strip())))
    path = call("makePath", fields)
    assert Address.parse(path.removeprefix("/?")) == Address.parse(expected.removeprefix("/?"))
    assert call("makePath", [("q", "")]) == "/"


@pytest.mark.parametrize(
    ("href", "expected"),
    [("/?q=a", True), ("/", True), ("/image/1?q=a", False), ("/#results", False), ("http://evil.example/?q=a", False)],
)
def test_only_searches_of_this_page_are_fetched_without_a_reload(call: Call, href: str, expected: bool) -> None:
    assert call("isSearch", href, "http://localhost/?q=b") is expected


@pytest.mark.parametrize(
    ("key", "index", "expected"),
    [
        *(("ArrowRight", 3, 4), ("ArrowLeft", 4, 3), ("ArrowRight", 9, 9), ("ArrowLeft", 0, 0)),
        *(("ArrowDown", 0, 4), ("ArrowDown", 3, 5), ("ArrowUp", 5, 1), ("ArrowUp", 2, 2), ("ArrowDown", 4, 6)),
        *(("ArrowDown", 9, 9), ("ArrowUp", 9, 5), ("Home", 7, 0), ("End", 1, 9)),
    ],
)
def test_arrows_move_by_rows_and_wrap_at_their_ends(call: Call, key: str, index: int, expected: int) -> None:
    """Two sections, of 6 and 4 cards, in 4 columns: rows 0-3, 4-5, 6-9."""
    assert call("move", [6, 4], 4, index, key) == expected


def test_no_card_is_no_place_to_go(call: Call) -> None:
    assert call("move", [], 4, 0, "ArrowDown") == call("move", [0], 1, 0, "End") == -1


def test_a_range_goes_either_way_and_begins_anew_where_its_anchor_is_gone(call: Call) -> None:
    assert call("listRange", ["a", "b", "c", "d"], "b", "d") == ["b", "c", "d"]
    assert call("listRange", ["a", "b", "c", "d"], "d", "b") == ["b", "c", "d"]
    assert call("listRange", ["a", "b"], "gone", "b") == ["b"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((80, 317, False, True), "80 of 317 images, best first"),
        ((1200, 5000, False, False), "1,200 of 5,000 images"),
        ((40, None, False, True), "The 40 best images"),
        ((317, None, True, True), "317 of 317 images, best first"),
        ((316, 317, True, False), "316 of 316 images"),
    ],
)
def test_the_count_ends_plainly(call: Call, given: tuple[Any, ...], expected: str) -> None:
    assert call("describeCount", *given) == expected


def test_a_clipboard_has_a_picture_its_address_another_file_or_nothing(call: Call) -> None:
    assert call("findPicture", [{"type": "text/plain"}, {"type": "image/png"}], "") == {"file": {"type": "image/png"}}
    assert call("findPicture", [], "<b>text</b>") is None
    assert "is no picture" in call("findPicture", [{"type": "application/pdf"}], "")["problem"]
    assert "opens none" in call("findPicture", [], '<p><IMG class=x SRC="https://a.example/b.png">')["problem"]
    assert "file" in call("findPicture", [], '<img src="data:image/png;base64,iVBORw0K">')


def test_pictures_within_a_page_are_read_from_their_address(call: Call) -> None:
    found = call("readDataAddress", "data:image/gif;base64,R0lG")
    assert (found["type"], found["data"]) == ("image/gif", list(b"GIF"))
    assert call("readDataAddress", "data:text/html;base64,R0lG") is None
    assert call("readDataAddress", "data:image/gif;base64,A") is None


def test_a_picture_that_is_too_large_is_not_sent(call: Call) -> None:
    assert call("checkSize", 26 * 2**20, 25 * 2**20).startswith("the picture is larger than 25 MB")
    assert call("checkSize", 25 * 2**20, 25 * 2**20) == ""
