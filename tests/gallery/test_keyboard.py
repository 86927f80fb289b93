"""Every feature by keys alone: the search field, the cards in their rows, more like this, the selection, the help."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.gallery.browsing import Visitor
from tests.gallery.conftest import Visit

pytestmark = pytest.mark.stack

FOCUSED = "document.activeElement?.closest('.card')?.dataset.id ?? ''"
# The ids of the cards, row by row, by where they stand.
ROWS = """
(() => {
  const rows = new Map();
  for (const card of document.querySelectorAll(".card")) {
    const top = Math.round(card.getBoundingClientRect().top);
    rows.set(top, [...(rows.get(top) ?? []), card.dataset.id]);
  }
  return [...rows.values()];
})()
"""


@pytest.fixture
def visitor(visit: Visit) -> Visitor:
    """On results, with the focus where a page begins."""
    visitor = visit("/?q=an+animal", viewport={"width": 1200, "height": 800})
    expect(visitor.cards.nth(20)).to_be_attached()
    return visitor


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def focused(visitor: Visitor) -> str:
    return str(visitor.page.evaluate(FOCUSED))


def picked(visitor: Visitor) -> list[str]:
    return [
        str(each)
        for each in visitor.page.locator(".card:has(input:checked)").evaluate_all(
            "(cards) => cards.map((card) => card.dataset.id)"
        )
    ]


def read_query(visitor: Visitor) -> dict[str, list[str]]:
    return parse_qs(urlsplit(visitor.page.url).query)


def test_a_slash_leads_to_the_search_field_and_is_not_typed(visitor: Visitor) -> None:
    press(visitor.page, "/")
    expect(visitor.page.locator("#q")).to_be_focused()
    expect(visitor.page.locator("#q")).to_have_value("an animal")
    visitor.page.keyboard.type("s/x? +-")
    expect(visitor.page.locator("#q")).to_have_value("s/x? +-")
    assert picked(visitor) == [] and visitor.page.locator("dialog[open]").count() == 0


def test_a_search_is_typed_and_entered_and_its_results_reached(visitor: Visitor) -> None:
    press(visitor.page, "/")
    visitor.page.keyboard.type("red apple")
    press(visitor.page, "Enter")
    expect(visitor.first).to_have_attribute("data-path", "fruit/red-apple.png")
    press(visitor.page, "Escape")
    assert focused(visitor) == visitor.ids[0]


def test_arrows_move_from_card_to_card_in_their_rows(visitor: Visitor) -> None:
    rows = visitor.page.evaluate(ROWS)
    width = len(rows[0])
    assert width > 2
    press(visitor.page, "ArrowRight")
    assert focused(visitor) == rows[0][0], "the first arrow reaches the first card"
    press(visitor.page, "ArrowRight")
    assert focused(visitor) == rows[0][1]
    press(visitor.page, "ArrowDown")
    assert focused(visitor) == rows[1][1]
    press(visitor.page, "ArrowUp", "ArrowLeft")
    assert focused(visitor) == rows[0][0]
    press(visitor.page, "ArrowLeft", "ArrowUp")
    assert focused(visitor) == rows[0][0], "before the first there is none"
    press(visitor.page, *["ArrowRight"] * width)
    assert focused(visitor) == rows[1][0], "a row goes on in the next one"
    press(visitor.page, "Home")
    assert focused(visitor) == visitor.ids[0]
    press(visitor.page, "End")
    expect(visitor.page.locator(".card:focus-within")).to_be_in_viewport()


def test_only_one_card_is_a_stop_of_the_tab_key(visitor: Visitor) -> None:
    """Else a keyboard needs hundreds of presses to pass the results."""
    reachable = (
        "[...document.querySelectorAll('.card')].filter((card) => card.querySelector('[tabindex=\"0\"]')).length"
    )
    assert visitor.page.evaluate(reachable) == 1
    press(visitor.page, "ArrowRight", "ArrowRight", "ArrowRight")
    assert visitor.page.evaluate(reachable) == 1
    press(visitor.page, "Shift+Tab", "Tab")
    assert focused(visitor) == visitor.ids[2], "the focus returns to where it was"


def test_enter_shows_the_details_and_back_returns_to_the_card(visitor: Visitor) -> None:
    press(visitor.page, "ArrowRight", "ArrowRight")
    id = focused(visitor)
    press(visitor.page, "Enter")
    visitor.page.wait_for_url(re.compile(f"/image/{id}"))
    expect(visitor.page.locator("main img").first).to_be_visible()
    visitor.page.go_back()
    expect(visitor.page.locator(f".card[data-id='{id}'] .picture")).to_be_focused()


@pytest.mark.parametrize(("key", "name"), [("s", "like"), ("+", "like"), ("-", "unlike")])
def test_a_key_makes_the_card_a_part_of_the_search(visitor: Visitor, key: str, name: str) -> None:
    press(visitor.page, "ArrowRight", "ArrowRight")
    path = visitor.paths[1]
    press(visitor.page, key)
    visitor.page.wait_for_url(re.compile(rf"[?&]{name}="))
    query = read_query(visitor)
    assert query[name] == [path]
    assert query.get("q") == (None if key == "s" else ["an animal"]), "+ and - keep what is there; s begins anew"
    expect(visitor.page.locator("#chips .chip").filter(has_text=path)).to_have_count(1)
    expect(visitor.page.locator(".card:focus-within")).to_have_count(1)


def test_cards_are_selected_one_by_one_in_a_range_and_all(visitor: Visitor) -> None:
    ids = visitor.ids
    press(visitor.page, "ArrowRight", "x")
    assert picked(visitor) == ids[:1]
    press(visitor.page, "x")
    assert picked(visitor) == []
    press(visitor.page, "ArrowRight", "x", "Shift+ArrowRight", "Shift+ArrowRight")
    assert picked(visitor) == ids[1:4]
    press(visitor.page, "Shift+ArrowLeft")
    assert picked(visitor) == ids[1:3]
    press(visitor.page, "Control+a")
    assert picked(visitor) == visitor.ids
    press(visitor.page, "Escape")
    assert picked(visitor) == []
    assert focused(visitor), "the focus stays on the card"


def test_the_selection_searches_for_more_like_all_of_it(visitor: Visitor) -> None:
    press(visitor.page, "ArrowRight", "x", "ArrowRight", "x")
    paths = visitor.paths[:2]
    visitor.page.locator("#selection #similar").press("Enter")
    visitor.page.wait_for_url(re.compile("like="))
    assert read_query(visitor)["like"] == paths
    expect(visitor.page.locator("#chips .chip")).to_have_count(2)


def test_a_click_with_shift_selects_a_range(visitor: Visitor) -> None:
    boxes = visitor.page.locator(".card input[type=checkbox]")
    boxes.nth(1).click()
    boxes.nth(4).click(modifiers=["Shift"])
    assert picked(visitor) == visitor.ids[1:5]


def test_a_question_mark_shows_the_keys_and_escape_closes_them(visitor: Visitor) -> None:
    press(visitor.page, "ArrowRight", "x", "?")
    dialog = visitor.page.locator("dialog[open]")
    expect(dialog).to_be_visible()
    for key in ("/", "s", "x", "Esc", "?"):
        expect(dialog.locator("kbd").get_by_text(key, exact=True)).to_be_visible()
    press(visitor.page, "x")
    assert len(picked(visitor)) == 1, "below the list of keys, keys do nothing"
    press(visitor.page, "Escape")
    expect(visitor.page.locator("dialog[open]")).to_have_count(0)
    assert len(picked(visitor)) == 1, "the first Escape closes the list alone"


def test_keys_of_the_browser_stay_its_own(visitor: Visitor) -> None:
    press(visitor.page, "ArrowRight")
    before = visitor.page.url
    press(visitor.page, "Control+s", "Control+x", "Alt+s", "Meta+s", "F1", "q", "1")
    assert visitor.page.url == before and picked(visitor) == []
