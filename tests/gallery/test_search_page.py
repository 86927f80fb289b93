"""The page as a person uses it: words, pictures, more like this, filters, the end of the list, Back."""

import re
import shlex
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
from playwright.sync_api import Route, expect

from clip_vectorizer.query.cli.search import main as search_command
from tests.gallery.browsing import Visitor, has_loaded
from tests.gallery.conftest import Visit
from tests.stack.support import EXAMPLES, Ran, Stack, http, run_inside

pytestmark = pytest.mark.stack

CAT = EXAMPLES / "animals" / "cat.png"
ALL = 317  # images of the examples
PAGE = 40
SAME_PICTURE = 0.99  # least similarity of a picture and itself; a thumbnail's would be lower


def count_labels(stack: Stack, collection: str) -> dict[str, int]:
    """As Weaviate's own aggregation counts them."""
    grouped = f'{{ Aggregate {{ {collection}(groupBy: ["label"]) {{ groupedBy {{ value }} meta {{ count }} }} }} }}'
    answer = stack.weaviate("POST", "/v1/graphql", {"query": grouped}).json()
    groups = answer["data"]["Aggregate"][collection]
    return {group["groupedBy"]["value"]: group["meta"]["count"] for group in groups}


def list_ids(stack: Stack, collection: str) -> set[str]:
    found = stack.weaviate("GET", f"/v1/objects?class={collection}&limit=1000").json()["objects"]
    return {each["id"] for each in found}


def choose_facet(visitor: Visitor, value: str) -> None:
    """Click a value of the filter by label, and wait for the page that it leads to."""
    before = visitor.page.url
    links = visitor.page.locator(".facet[data-name=label] li a")
    links.filter(has=visitor.page.get_by_text(value, exact=True)).first.click()
    visitor.page.wait_for_url(lambda url: url != before)


def expect_labels(visitor: Visitor, *labels: str) -> None:
    assert {path.partition("/")[0] for path in visitor.paths} == set(labels)


@pytest.mark.parametrize("words", ["red apple", "红苹果"])
def test_words_find_what_they_name(visit: Visit, words: str) -> None:
    visitor = visit("/")
    visitor.search(words)
    expect(visitor.first).to_have_attribute("data-path", "fruit/red-apple.png")
    assert parse_qs(urlsplit(visitor.page.url).query)["q"] == [words]
    picture = visitor.first.locator(".picture img")
    assert "red apple" in (picture.get_attribute("alt") or "")
    assert has_loaded(picture)
    assert re.search(r"\b0?\.\d\d", visitor.first.inner_text()), "a result has its similarity"


def test_another_language_finds_the_same_kind(visit: Visit) -> None:
    visitor = visit("/")
    visitor.search("草莓")
    expect(visitor.first).to_have_attribute("data-path", "fruit/strawberry.png")


def drop_cat(visitor: Visitor) -> None:
    visitor.drop("cat.png", CAT.read_bytes())


def paste_cat(visitor: Visitor) -> None:
    visitor.paste("cat.png", CAT.read_bytes())


def choose_cat(visitor: Visitor) -> None:
    visitor.page.set_input_files("#file", CAT)


@pytest.mark.parametrize("bring", [drop_cat, paste_cat, choose_cat])
def test_a_picture_finds_itself_first(visit: Visit, bring: Callable[[Visitor], None]) -> None:
    visitor = visit("/")
    bring(visitor)
    visitor.page.wait_for_url(re.compile(r"image=sha256%3A[0-9a-f]{64}"))
    expect(visitor.first).to_have_attribute("data-path", "animals/cat.png")
    assert float(visitor.first.locator(".facts b").inner_text()) > SAME_PICTURE
    expect(visitor.page.locator("#chips .chip")).to_have_count(1)
    assert has_loaded(visitor.page.locator("#chips .chip img"))


def test_a_picture_and_words_are_one_search(visit: Visit) -> None:
    visitor = visit("/")
    visitor.search("red apple")
    expect(visitor.first).to_have_attribute("data-path", "fruit/red-apple.png")
    choose_cat(visitor)
    visitor.page.wait_for_url(re.compile(r"image=sha256"))
    query = parse_qs(urlsplit(visitor.page.url).query)
    assert query["q"] == ["red apple"] and len(query["image"]) == 1
    expect(visitor.page.locator("#q")).to_have_value("red apple")


def test_more_like_this_leaves_the_image_itself_out(visit: Visit) -> None:
    visitor = visit("/?q=cat&where=label%3Danimals")
    key = visitor.first.get_attribute("data-path") or ""
    visitor.first.locator("a.like").click()
    visitor.page.wait_for_url(re.compile(r"like="))
    expect(visitor.first).not_to_have_attribute("data-path", key)
    assert parse_qs(urlsplit(visitor.page.url).query)["like"] == [key]
    assert key not in visitor.paths
    expect_labels(visitor, "animals")  # the filter stays


def test_a_link_shows_the_same_to_another_person(visit: Visit) -> None:
    visitor = visit("/")
    visitor.search("a happy animal")
    expect(visitor.page.locator("#status")).to_contain_text("best first")
    link, ids = visitor.page.url, visitor.ids
    other = visit(fresh=True)
    other.page.goto(link)
    assert len(ids) >= PAGE and other.ids[: len(ids)] == ids


def test_back_restores_the_results_and_the_place(visit: Visit) -> None:
    visitor = visit("/?q=an+animal")
    page = visitor.page
    page.mouse.wheel(0, 6000)
    expect(visitor.cards.nth(PAGE + 20)).to_be_attached()
    card = visitor.cards.nth(PAGE + 10)
    card.scroll_into_view_if_needed()
    key = card.get_attribute("data-id")
    before, place = visitor.loaded, page.evaluate("scrollY")
    card.locator("a.like").click()
    page.wait_for_url(re.compile(r"like="))
    page.go_back()
    page.wait_for_url(re.compile(r"q=an"))
    expect(page.locator(f".card[data-id='{key}']")).to_be_in_viewport()
    page.wait_for_function("(place) => Math.abs(scrollY - place) < 100", arg=place)
    assert visitor.loaded >= before


def test_the_next_page_forward_is_there_again_after_back(visit: Visit) -> None:
    visitor = visit("/")
    visitor.search("red apple")
    expect(visitor.first).to_have_attribute("data-path", "fruit/red-apple.png")
    visitor.search("guitar")
    expect(visitor.first).to_have_attribute("data-path", "musical instruments/guitar.png")
    visitor.page.go_back()
    expect(visitor.first).to_have_attribute("data-path", "fruit/red-apple.png")
    expect(visitor.page.locator("#q")).to_have_value("red apple")
    visitor.page.go_forward()
    expect(visitor.first).to_have_attribute("data-path", "musical instruments/guitar.png")
    expect(visitor.page.locator("#q")).to_have_value("guitar")


def test_the_address_changes_with_the_results_and_not_before(visit: Visit) -> None:
    visitor = visit("/?q=red+apple")
    page, held = visitor.page, list[Route]()
    page.route(re.compile(r"/\?q=guitar"), lambda route: held.append(route))
    page.fill("#q", "guitar")
    page.press("#q", "Enter")
    expect(page.locator("#status")).to_have_text("Searching …")
    assert "red+apple" in page.url and visitor.paths[0] == "fruit/red-apple.png"
    held[0].continue_()
    page.wait_for_url(re.compile("q=guitar"))
    assert visitor.paths[0] == "musical instruments/guitar.png"
    page.go_back()
    expect(visitor.first).to_have_attribute("data-path", "fruit/red-apple.png")


@pytest.mark.parametrize("words", ["guitar", "horse + 2*"], ids=["found", "refused"])
def test_the_sentence_of_a_refused_picture_goes_with_the_next_search(visit: Visit, words: str) -> None:
    visitor = visit("/", failures=True)
    visitor.drop("notes.txt", b"no picture", "text/plain")
    expect(visitor.page.locator(".refused")).to_contain_text("is no picture")
    visitor.search(words)
    expect(visitor.page.locator(".refused")).to_be_hidden()


def test_the_counts_of_filters_are_those_of_the_database(visit: Visit, stack: Stack, examples: str) -> None:
    visitor = visit("/")
    facet = visitor.page.locator(".facet[data-name=label]")
    rows = facet.locator("li a").evaluate_all(
        "(links) => links.map((a) => [a.querySelector('bdi').textContent, a.querySelector('.count').textContent])"
    )
    assert {value: int(count.replace(",", "")) for value, count in rows} == count_labels(stack, examples)


def test_filters_add_up_and_are_taken_back(visit: Visit, stack: Stack, examples: str) -> None:
    counts = count_labels(stack, examples)
    visitor = visit("/")
    choose_facet(visitor, "fruit")
    expect(visitor.cards).to_have_count(counts["fruit"])
    expect_labels(visitor, "fruit")
    expect(visitor.page.locator("#status")).to_contain_text(str(counts["fruit"]))
    expect(visitor.page.locator(".facet[data-name=label] a[aria-current]")).to_have_count(1)
    choose_facet(visitor, "hearts")
    visitor.page.wait_for_url(re.compile(r"fruit(\||%7C)hearts"))
    visitor.scroll_to_the_end()
    paths = visitor.read_list("path")
    assert len(paths) == counts["fruit"] + counts["hearts"]
    assert {path.partition("/")[0] for path in paths} == {"fruit", "hearts"}
    visitor.page.locator(".facet[data-name=label] a.reset").click()
    visitor.page.wait_for_url(lambda url: "where" not in url)
    expect(visitor.cards).to_have_count(PAGE)


def test_a_filter_narrows_a_search_and_stays_with_the_next_words(visit: Visit) -> None:
    visitor = visit("/?q=red")
    choose_facet(visitor, "fruit")
    expect(visitor.page.locator("#q")).to_have_value("red")
    expect_labels(visitor, "fruit")
    visitor.page.fill("#q", "green")
    visitor.page.press("#q", "Enter")
    visitor.page.wait_for_url(re.compile(r"q=green"))
    expect(visitor.first).to_be_visible()
    expect_labels(visitor, "fruit")


def test_pictures_come_from_the_cache_when_the_network_is_away(visit: Visit) -> None:
    visitor = visit("/?q=red+apple", fresh=True)
    assert has_loaded(visitor.first.locator("img"))
    visitor.page.context.set_offline(True)
    again = (
        "(image) => { const other = new Image(); other.src = image.src; "
        "return other.decode().then(() => other.naturalWidth); }"
    )
    assert visitor.first.locator("img").evaluate(again) > 0


@pytest.mark.parametrize("path", ["/", "/?q=an+animal"])
def test_the_list_goes_on_to_its_end_without_a_gap(visit: Visit, stack: Stack, examples: str, path: str) -> None:
    visitor = visit(path)
    visitor.scroll_to_the_end()
    ids = visitor.read_list()
    assert len(ids) == ALL == len(set(ids))
    assert set(ids) == list_ids(stack, examples)
    expect(visitor.page.locator("#status")).to_contain_text(str(ALL))


SEARCHES = {
    "a search": "q=a+red+fruit",
    "a filter": "q=a+red+fruit&where=label%3Dfruit%7Chearts",
    "a threshold": "q=red+apple&min-similarity=0.2",
    "an end by groups": "q=red+apple&auto-limit=1",
    "chips": "q=horse&plus=stripes&minus=fruit&limit=12",
    "terms in the text": f"q={quote_plus('horse + 0.5*stripes - fruit')}&limit=12",
    "words as they are": f"q={quote_plus('horse + stripes')}&plain=1",
    "an image": "like=animals%2Fcat.png",
    "two images": "like=animals%2Fcat.png&like=animals%2Fhorse.png&limit=7",
    "diversity": "q=fruit&diversity=0.5&limit=10",
    "captions": "q=apple&captions=0.5&limit=10",
    "equal images once": "q=face&dedupe=1",
    "a later page": "q=animal&offset=80&limit=20",
    "a move": "q=apple&move-to=green&force=0.6&limit=9",
    "groups": "q=red&group-by=label&per-group=2&limit=5",
    "a listing": "limit=25",
    "a listing with a filter": "where=label%3Dfruit&limit=25",
}


@pytest.mark.parametrize("query", SEARCHES.values(), ids=SEARCHES)
def test_a_page_shows_what_the_command_prints(
    gallery: str, stack: Stack, examples: str, query: str, fetch_cards: Callable[[str], list[str]]
) -> None:
    printed = run_search(stack, examples, query)
    assert printed and fetch_cards(f"/?{query}") == [row["id"] for row in printed.rows]


def run_search(stack: Stack, collection: str, query: str) -> Ran:
    """`clip-search` with the options of an address; a page is 40 images where it names no limit."""
    values = parse_qs(query)
    limit = values.pop("limit", [str(PAGE)])[-1]
    text = values.pop("q", [])
    flags = [f"--{name}" for name in ("dedupe", "plain") if values.pop(name, None)]
    options = [f"--{name}={value}" for name, each in values.items() for value in each]
    listing = [] if text or "like" in values else ["--list"]
    words = ["--json", "--limit", limit, "--collection", collection, *listing, *options, *flags, "--", *text]
    return run_inside(search_command, stack.env, *words)


COMMANDS = {
    "a search": "q=a+red+fruit&where=label%3Dfruit%7Chearts&min-similarity=0.1",
    "all": "",
    "a limit of its own": "q=-1+apple&limit=7",
    "grouped by labels": "q=animal&labels=cat%2Cdog&by-label=1",
}


@pytest.mark.parametrize("query", COMMANDS.values(), ids=COMMANDS)
def test_the_command_below_the_page_prints_the_same(
    gallery: str, stack: Stack, query: str, fetch_cards: Callable[[str], list[str]]
) -> None:
    """As it is, copied into a shell."""
    [command] = re.findall(r'<code id="command">(.*?)</code>', http("GET", f"{gallery}/?{query}").text)
    ids = fetch_cards(f"/?{query}")
    printed = [row["id"] for row in run_shown_command(stack, unescape(command))]
    if "by-label" in query:  # in sections, in another order
        ids, printed = sorted(ids), sorted(printed)
    assert ids == printed


def run_shown_command(stack: Stack, command: str) -> list[dict[str, Any]]:
    program, *words = shlex.split(command)
    assert program == "clip-search"
    return run_inside(search_command, stack.env, "--json", *words).rows


def test_the_command_follows_the_search_that_is_typed(visit: Visit, stack: Stack) -> None:
    visitor = visit("/")
    visitor.search("guitar")
    expect(visitor.first).to_have_attribute("data-path", "musical instruments/guitar.png")
    command = visitor.page.locator("#command").inner_text()
    assert visitor.ids[:PAGE] == [row["id"] for row in run_shown_command(stack, command)]
