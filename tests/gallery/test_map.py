"""The map in a browser: what is in the collection at a glance, and closer with each click."""

import re

import pytest
from playwright.sync_api import expect

from tests.gallery.axe import find_violations
from tests.gallery.browsing import Visitor, has_loaded
from tests.gallery.conftest import Visit

pytestmark = pytest.mark.stack

ALL = 317
PHONE = {"width": 360, "height": 740}
COUNT = re.compile(r"([\d,]+) images")


def open_map(visit: Visit, path: str = "/map", **options: object) -> Visitor:
    """As a person waits: the page says that it computes, and comes again by itself."""
    visitor = visit(path, **options)
    expect(visitor.page.locator("#cells")).to_be_visible()
    return visitor


def count_shown(visitor: Visitor) -> int:
    """The images of all cells."""
    labels = visitor.page.locator("#cells a").evaluate_all(
        "(all) => all.map((each) => each.getAttribute('aria-label'))"
    )
    counts = [COUNT.match(label) for label in labels]
    return sum(int(found[1].replace(",", "")) if found else 1 for found in counts)


def test_every_image_is_in_a_cell_with_a_picture_and_a_name(visit: Visit) -> None:
    visitor = open_map(visit)
    assert count_shown(visitor) == ALL
    expect(visitor.page.locator("#status")).to_contain_text("317 images")
    pictures = visitor.page.locator("#cells img")
    assert pictures.count() == visitor.page.locator("#cells a").count() > 20
    assert has_loaded(pictures.first)
    assert "17" not in visitor.page.locator(".legend").inner_text().split(), "8 colours and the rest"
    assert sum(int(each) for each in visitor.page.locator(".legend .count").all_inner_texts()) == ALL


@pytest.mark.parametrize("scripts", [True, False])
def test_a_cell_leads_closer_until_its_images_are_there(visit: Visit, scripts: bool) -> None:
    visitor = open_map(visit, java_script_enabled=scripts)
    page = visitor.page
    cells = page.locator("#cells a", has=page.locator("b"))
    counts = [int(each) for each in cells.locator("b").all_inner_texts()]
    visitor.follow(cells.nth(counts.index(max(counts))))
    assert "box=" in page.url and f"{max(counts)} of them in this part" in page.locator("#status").inner_text()
    while not visitor.ids:
        cells = page.locator("#cells a", has=page.locator("b"))
        visitor.follow(cells.first)
    assert len(set(visitor.ids)) == len(visitor.ids)
    assert f"{len(visitor.ids)} of them in this part" in page.locator("#status").inner_text()
    visitor.follow(page.locator("nav[aria-label='Parts of the map'] a", has_text="Whole map"))
    assert "box" not in page.url


def test_the_keyboard_leads_closer_too(visit: Visit) -> None:
    visitor = open_map(visit)
    cell = visitor.page.locator("#cells a", has=visitor.page.locator("b")).first
    cell.focus()
    with visitor.page.expect_navigation():
        visitor.page.keyboard.press("Enter")
    assert "box=" in visitor.page.url
    expect(visitor.page.locator("rect.part")).to_have_count(1)


def test_parts_beside_it_are_links(visit: Visit) -> None:
    visitor = open_map(visit, "/map?box=0.25,0.25,0.5,0.5")
    for title, box in (("Right", "0.375,0.25,0.625,0.5"), ("Zoom out", "0,0,1,1")):
        link = visitor.page.locator("nav[aria-label='Parts of the map'] a", has_text=title)
        visitor.follow(link)
        assert (f"box={box.replace(',', '%2C')}" in visitor.page.url) == (title == "Right")


def test_filters_and_the_legend_narrow_the_map(visit: Visit) -> None:
    visitor = open_map(visit, "/map?where=label%3Dfruit")
    assert count_shown(visitor) == 20
    visitor.follow(visitor.page.locator(".filtered a"))
    expect(visitor.page.locator("#cells")).to_be_visible()
    assert count_shown(visitor) == ALL
    visitor.follow(visitor.page.locator(".legend a", has_text="birds"))
    expect(visitor.page.locator("#cells")).to_be_visible()
    assert count_shown(visitor) == 20 and "label%3Dbirds" in visitor.page.url


def test_the_hits_of_a_search_are_ringed(visit: Visit) -> None:
    visitor = visit("/?q=red+apple&limit=10")
    visitor.follow(visitor.page.locator("a#map", has_text="Show on the map"))
    expect(visitor.page.locator("#cells")).to_be_visible()
    expect(visitor.page.locator("circle.ring")).to_have_count(10)
    expect(visitor.page.locator("#marked")).to_contain_text("10 best images")
    marked = visitor.page.locator("#cells .marked a").evaluate_all(
        "(all) => all.map((each) => Number(/; (\\d+) of the search/.exec(each.getAttribute('aria-label'))[1]))"
    )
    assert sum(marked) == 10
    visitor.follow(visitor.page.locator("#marked a"))
    assert visitor.paths[0] == "fruit/red-apple.png"


def test_like_images_are_searched_from_a_part(visit: Visit) -> None:
    visitor = open_map(visit, "/map?box=0,0,0.25,0.5")
    shown = set(visitor.ids)
    visitor.follow(visitor.page.locator("a#like"))
    assert 1 <= visitor.page.url.count("like=") <= 5
    assert visitor.ids and shown


def test_a_search_that_fails_leaves_the_map(visit: Visit) -> None:
    visitor = open_map(visit, "/map?q=red&min-similarity=7", failures=True)
    expect(visitor.page.locator(".note[role=alert]")).to_contain_text("min-similarity")
    assert count_shown(visitor) == ALL


@pytest.mark.parametrize(
    "path", ["/map?box=1", "/map?layout=x", "/map?colour=x", "/map?where=lable%3Dfruit", "/map?x=1"]
)
def test_a_bad_address_is_a_sentence_with_a_way_on(visit: Visit, path: str) -> None:
    visitor = visit(path, failures=True)
    expect(visitor.page.locator("#problem[role=alert]")).to_be_visible()
    visitor.follow(visitor.page.locator("#problem a"))
    assert visitor.ids


def test_nothing_matches_is_a_sentence(visit: Visit) -> None:
    visitor = visit("/map?where=size%3C0")
    page = visitor.page
    expect(page.locator("#status")).to_contain_text("no images to show")
    visitor.follow(page.locator("#status a"))


STATES = {"whole": "/map", "part": "/map?box=0.25,0.5,0.5,0.75", "search": "/map?q=red+apple&where=label%3Dfruit"}


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_grave_in_either_scheme(visit: Visit, state: str) -> None:
    visitor = open_map(visit, STATES[state], color_scheme="light")
    assert find_violations(visitor.page) == []
    visitor.page.emulate_media(color_scheme="dark")
    assert find_violations(visitor.page) == []


@pytest.mark.parametrize("state", STATES)
def test_a_phone_shows_all_without_moving_sideways(visit: Visit, state: str) -> None:
    visitor = open_map(visit, STATES[state], viewport=PHONE, has_touch=True, is_mobile=True)
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    sizes = visitor.page.locator("#cells a, .legend a, nav a").evaluate_all(
        "(all) => all.map((each) => each.getBoundingClientRect()).map((box) => Math.min(box.width, box.height))"
    )
    assert min(sizes) >= 43.5, "a finger hits it"


def test_the_map_is_the_same_in_another_browser_and_its_places_come_as_lines(visit: Visit, gallery: str) -> None:
    links = [
        open_map(visit).page.locator("#cells a").evaluate_all("(all) => all.map((each) => each.href)") for _ in range(2)
    ]
    assert links[0] == links[1]
    lines = visit().page.request.get(f"{gallery}/map.json?box=0,0,0.5,1").text().splitlines()
    assert 0 < len(lines) < ALL and all('"x": 0.' in line for line in lines)
