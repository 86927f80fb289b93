"""Everyone can use the page: axe-core, contrast, a narrow window, targets for a finger, the order of the focus."""

import pytest
from playwright.sync_api import expect

from tests.gallery.axe import find_violations
from tests.gallery.browsing import Visitor
from tests.gallery.conftest import Visit

pytestmark = pytest.mark.stack

PHONE = {"width": 360, "height": 740}
STATES = {
    "list": "/",
    "search": "/?q=red+apple&where=label%3Dfruit%7Chearts&plus=round",
    "groups": "/?q=red&group-by=label&per-group=2",
    "details": "details",
    "problem": "/?q=red&min-similarity=7",
    "empty": "/?q=red&min-similarity=0.99",
}
LEAST_TARGET = 44  # pixels, WCAG 2.5.5
LEAST_CONTRAST = 4.5  # WCAG 1.4.3
TARGETS = (
    "button, input:not([type=hidden], [type=checkbox], [type=file]), #drop label, "
    ".card a, .chip a, #filters a, a#more, summary, select"
)
# Targets that are too small, with their sizes. A finger hits the label of a file's field, not the field.
SMALL = """
([selector, least]) => [...document.querySelectorAll(selector)].flatMap((each) => {
  const box = each.getBoundingClientRect();
  return !box.width || (box.width >= least - .5 && box.height >= least - .5) ? []
    : [`${each.tagName} ${each.className || each.id} ${each.textContent.trim()} ${box.width}x${box.height}`];
})
"""


def open_state(visit: Visit, state: str, **options: object) -> Visitor:
    path = STATES[state]
    if path != "details":
        return visit(path, failures=True, **options)
    visitor = visit("/?q=red+apple&limit=3", **options)
    visitor.open(visitor.first.locator("a.picture").get_attribute("href") or "")
    expect(visitor.page.locator("main img").first).to_be_visible()
    return visitor


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_grave_in_either_scheme(visit: Visit, state: str) -> None:
    visitor = open_state(visit, state, color_scheme="light")
    for scheme in ("dark", "light"):  # as it came, at the end
        visitor.page.emulate_media(color_scheme=scheme)
        assert find_violations(visitor.page) == []


@pytest.mark.parametrize("state", STATES)
def test_a_phone_shows_all_without_moving_sideways(visit: Visit, state: str) -> None:
    visitor = open_state(visit, state, viewport=PHONE)
    page = visitor.page
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert page.evaluate("document.body.scrollWidth") <= PHONE["width"]
    assert page.evaluate("matchMedia('(max-width: 360px)').matches"), "the page is as wide as the phone"


@pytest.mark.parametrize("state", ["list", "search", "details"])
def test_a_finger_hits_every_target(visit: Visit, state: str) -> None:
    visitor = open_state(visit, state, viewport=PHONE, has_touch=True, is_mobile=True)
    assert visitor.page.evaluate(SMALL, [TARGETS, LEAST_TARGET]) == []


def test_twice_as_large_it_is_still_all_there(visit: Visit) -> None:
    """A zoom of 200 % halves the width that a page has."""
    visitor = visit("/?q=red+apple", viewport={"width": 640, "height": 400})
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 640
    expect(visitor.page.locator("#q")).to_be_visible()
    expect(visitor.first).to_be_attached()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_in_both_schemes(visit: Visit, scheme: str) -> None:
    visitor = visit("/?q=red&where=label%3Dfruit", color_scheme=scheme)
    for selector in ("body", "#status", ".card .facts", ".card .path", "a.like", ".count", "#q", "button", ".chip"):
        pair = visitor.page.locator(selector).first.evaluate(COLOURS)
        assert contrast(*pair) >= LEAST_CONTRAST, (selector, pair)
    background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(read_colour(background)) > 0.5) == (scheme == "light")


# The colour of an element's text and of what is behind it.
COLOURS = """
(element) => {
  const colour = getComputedStyle(element).color;
  let behind = element;
  while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
  return [colour, behind ? getComputedStyle(behind).backgroundColor : "rgb(255, 255, 255)"];
}
"""


def read_colour(text: str) -> list[float]:
    """The channels of `rgb(1, 2, 3)`, 0..1."""
    return [float(each) / 255 for each in text.partition("(")[2].rstrip(")").split(",")[:3]]


def luminance(rgb: list[float]) -> float:
    """Relative luminance, WCAG 2.2."""
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio, WCAG 2.2: 1 to 21."""
    darker, lighter = sorted(luminance(read_colour(each)) for each in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_of_black_and_white_is_the_largest() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


def test_the_page_has_landmarks_a_language_and_a_title(visit: Visit) -> None:
    page = visit("/?q=red+apple").page
    assert page.locator("html").get_attribute("lang") == "en"
    assert "red apple" in page.title()
    for landmark in ("main", "nav[aria-label]", "[role=search]", "h1"):
        expect(page.locator(landmark)).to_have_count(1)
    expect(page.locator("#status[role=status]")).to_have_count(1)
    assert page.locator("img:not([alt])").count() == 0
    alts = page.locator(".card img").evaluate_all("(all) => all.map((each) => each.alt)")
    assert alts and all(alts)


def test_the_first_stop_of_the_focus_skips_to_the_results(visit: Visit) -> None:
    page = visit("/?q=red+apple").page
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_class("skip")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_the_focus_is_always_seen(visit: Visit) -> None:
    page = visit("/?q=red+apple&limit=4").page
    for _ in range(12):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const style = getComputedStyle(document.activeElement);"
            " return [document.activeElement.tagName, style.outlineStyle, parseFloat(style.outlineWidth)]; })()"
        )
        assert focused[0] != "BODY" and focused[1] != "none" and focused[2] >= 2, focused


def test_reduced_motion_is_respected(visit: Visit) -> None:
    page = visit("/?q=red+apple", reduced_motion="reduce").page
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter((each) => { const style = getComputedStyle(each);"
        " return parseFloat(style.transitionDuration) > .01 || parseFloat(style.animationDuration) > .01; }).length"
    )
    assert moving == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") != "smooth"


def test_pictures_leave_their_place_free_until_they_come(visit: Visit) -> None:
    """No shift of the layout while thumbnails load."""
    visitor = visit(fresh=True)
    visitor.page.route("**/thumb/*", lambda route: None)  # they never come
    visitor.page.goto(f"{visitor.address}/?q=red&limit=6", wait_until="domcontentloaded")
    before = visitor.cards.nth(5).bounding_box()
    visitor.page.unroute("**/thumb/*")
    visitor.open("/?q=red&limit=6")
    assert visitor.cards.nth(5).bounding_box() == before
