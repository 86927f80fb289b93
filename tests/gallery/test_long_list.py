"""A long list: cards far from the window are not in the page, and nothing that a person does shows it."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pypdfium2
import pytest
from playwright.sync_api import Page, expect
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from tests.gallery.browsing import Visitor
from tests.gallery.conftest import Visit
from tests.stack.support import http

pytestmark = pytest.mark.stack

ALL = 317
MOST_CARDS = 200  # in the page, in the window of these tests
WINDOW = {"width": 1200, "height": 800}
FOCUSED = "document.activeElement?.closest('.card')?.dataset.id ?? ''"
# Of the cards in the order of the page: the place in the list, top and left in the window.
STANDING = """
() => [...document.querySelectorAll(".card")].map((card) => {
  const { left, top } = card.getBoundingClientRect();
  return [Number(card.ariaPosInSet), Math.round(top), Math.round(left)];
})
"""


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """At the end of the list of all examples."""
    visitor = visit("/?q=an+animal", viewport=WINDOW)
    visitor.scroll_to_the_end()
    assert visitor.loaded == ALL
    return visitor


def to_top(visitor: Visitor) -> None:
    visitor.page.evaluate("scrollTo(0, 0)")
    expect(visitor.page.locator("#results .card[aria-posinset='1'] .picture")).to_be_in_viewport()
    expect(visitor.page.locator("#results .card[aria-posinset='12']")).to_be_attached()


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def read_rows(visitor: Visitor, query: str, page: str = "search.json") -> list[dict[str, Any]]:
    answer = http("GET", f"{visitor.address}/{page}?{query}")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_the_page_has_few_cards_and_its_whole_height(visitor: Visitor) -> None:
    assert visitor.cards.count() < MOST_CARDS
    height = visitor.page.evaluate("document.querySelector('#results').offsetHeight")
    to_top(visitor)
    assert visitor.cards.count() < MOST_CARDS
    assert visitor.page.evaluate("document.querySelector('#results').offsetHeight") == height


def test_each_card_says_its_place_among_all(visitor: Visitor) -> None:
    sizes = visitor.page.locator("#results .card").evaluate_all("(cards) => cards.map((card) => card.ariaSetSize)")
    assert set(sizes) == {str(ALL)}
    assert len(visitor.read_list()) == ALL


def test_cards_stand_in_their_order_also_in_a_window_of_another_width(visitor: Visitor) -> None:
    to_top(visitor)
    visitor.page.mouse.wheel(0, 9000)
    visitor.page.wait_for_timeout(300)
    place = find_first_in_window(visitor)
    for width in (800, 1440, 500, 360):
        visitor.page.set_viewport_size({"width": width, "height": 800})
        expect(visitor.page.locator(f"#results .card[aria-posinset='{place}']")).to_be_in_viewport()
        standing = visitor.page.evaluate(STANDING)
        assert standing == sorted(standing)
        assert [each[1:] for each in standing] == sorted(each[1:] for each in standing)
        assert len({tuple(each[1:]) for each in standing}) == len(standing)
        place = find_first_in_window(visitor)


def find_first_in_window(visitor: Visitor) -> int:
    """The place of the first card whose row begins in the window."""
    return next(int(place) for place, top, _ in visitor.page.evaluate(STANDING) if top >= 0)


def test_what_is_selected_stays_so_while_it_is_away(visitor: Visitor) -> None:
    ids = [row["id"] for row in read_rows(visitor, f"q=an+animal&limit={ALL}")]
    to_top(visitor)
    visitor.page.locator("#results .card[aria-posinset='2'] input").check()
    visitor.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(visitor.page.locator(f"#results .card[aria-posinset='{ALL}']")).to_be_attached()
    visitor.page.locator(f"#results .card[aria-posinset='{ALL}'] .pick").click()
    expect(visitor.page.locator("#results .card[aria-posinset='2']")).to_have_count(0)
    assert export(visitor) == [ids[1], ids[-1]]
    to_top(visitor)
    expect(visitor.page.locator("#results .card[aria-posinset='2'] input")).to_be_checked()
    press(visitor.page, "Escape")
    expect(visitor.page.locator("#results input:checked")).to_have_count(0)


def test_all_that_are_loaded_are_selected_and_exported_in_their_order(visitor: Visitor) -> None:
    press(visitor.page, "Control+a")
    expect(visitor.page.locator("#picked")).to_have_text(f"{ALL} selected")
    assert export(visitor) == [row["id"] for row in read_rows(visitor, f"q=an+animal&limit={ALL}")]


def export(visitor: Visitor) -> list[str]:
    """Download the paths, and return the ids that were sent for it."""
    with visitor.page.expect_request("**/export") as sent, visitor.page.expect_download():
        visitor.page.locator("#selection button[value=paths]").click()
    return [value for name, value in parse_qsl(sent.value.post_data or "") if name == "id"]


def test_keys_lead_from_one_end_to_the_other_and_select_what_is_between(visitor: Visitor) -> None:
    ids = [row["id"] for row in read_rows(visitor, f"q=an+animal&limit={ALL}")]
    to_top(visitor)
    press(visitor.page, "ArrowRight", "x", "Shift+End")
    assert visitor.page.evaluate(FOCUSED) == ids[-1]
    expect(visitor.page.locator(".card:focus-within")).to_be_in_viewport()
    expect(visitor.page.locator("#picked")).to_have_text(f"{ALL} selected")
    press(visitor.page, "Shift+Home")
    assert visitor.page.evaluate(FOCUSED) == ids[0]
    expect(visitor.page.locator("#picked")).to_have_text("1 selected")


def test_the_card_with_the_focus_stays_and_the_next_key_continues_from_it(visitor: Visitor) -> None:
    ids = [row["id"] for row in read_rows(visitor, f"q=an+animal&limit={ALL}")]
    to_top(visitor)
    press(visitor.page, "ArrowRight", "ArrowRight")
    visitor.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(visitor.page.locator(f"#results .card[aria-posinset='{ALL}']")).to_be_attached()
    assert visitor.page.evaluate(FOCUSED) == ids[1]
    press(visitor.page, "ArrowRight")
    assert visitor.page.evaluate(FOCUSED) == ids[2]
    expect(visitor.page.locator(".card:focus-within")).to_be_in_viewport()


def test_back_returns_to_a_card_that_is_far_down(visitor: Visitor) -> None:
    card = visitor.page.locator(f"#results .card[aria-posinset='{ALL}'] .picture")
    id = visitor.page.locator(f"#results .card[aria-posinset='{ALL}']").get_attribute("data-id")
    card.click()
    visitor.page.wait_for_url(re.compile(f"/image/{id}"))
    visitor.page.go_back()
    expect(visitor.page.locator(f".card[data-id='{id}'] .picture")).to_be_focused()
    expect(visitor.page.locator(f".card[data-id='{id}']")).to_be_in_viewport()
    assert visitor.loaded == ALL


def test_paper_has_all_that_are_loaded(visitor: Visitor, tmp_path: Path) -> None:
    visitor.page.pdf(path=tmp_path / "list.pdf")
    with pypdfium2.PdfDocument(tmp_path / "list.pdf") as printed:
        pictures = [each for page in printed for each in page.get_objects([FPDF_PAGEOBJ_IMAGE], max_depth=15)]
    assert len(pictures) == ALL
    visitor.page.wait_for_function("(most) => document.querySelectorAll('.card').length < most", arg=MOST_CARDS)


def test_groups_have_all_their_cards_and_keys_lead_through_them(visit: Visit) -> None:
    query = "q=red&group-by=label&per-group=40&limit=12"
    visitor = visit(f"/?{query}", viewport=WINDOW)
    ids = [str(row["id"]) for row in read_rows(visitor, query)]
    assert len(ids) > MOST_CARDS
    assert visitor.cards.count() < len(ids)
    press(visitor.page, "ArrowRight", "End")
    assert visitor.page.evaluate(FOCUSED) == ids[-1]
    found = {visitor.page.evaluate(FOCUSED)}
    for _ in ids[1:]:
        press(visitor.page, "ArrowLeft")
        found.add(visitor.page.evaluate(FOCUSED))
    assert found == set(ids)


def test_the_counts_of_labels_are_those_of_all_that_are_loaded(visit: Visit) -> None:
    query = "q=an+animal&labels=cat,dog,panda"
    visitor = visit(f"/?{query}", viewport=WINDOW)
    expect(visitor.page.locator("#histogram caption")).to_have_text("40 images labelled")
    visitor.scroll_to_the_end()
    rows = read_rows(visitor, f"{query}&limit={ALL}", "labels.json")
    expect(visitor.page.locator("#histogram caption")).to_have_text(f"{ALL} images labelled")
    counts = visitor.page.locator("#histogram .count").all_inner_texts()
    assert [int(each) for each in counts] == [
        sum(row["label"] == name for row in rows) for name in ("cat", "dog", "panda")
    ]
    assert visitor.page.locator("#histogram meter").first.get_attribute("max") == str(ALL)
    to_top(visitor)
    badges = visitor.page.locator("#results .card .labelled").count()
    assert badges == visitor.cards.count()
