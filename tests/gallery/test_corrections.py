"""Names that do not exist: the page has the sentence of the command, and a link with the name that was meant."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from clip_vectorizer.errors import InputError, Suggestion
from clip_vectorizer.gallery.corrections import correct
from tests.gallery.in_process import fetch, fetch_rows, find_link, list_cards, open_pages
from tests.stack.support import Stack


@pytest.fixture(scope="module")
def pages(stack: Stack, examples: str) -> Iterator[TestClient]:
    with open_pages(stack, examples) as client:
        yield client


@pytest.mark.stack
@pytest.mark.parametrize(
    ("wrong", "right", "status"),
    [
        ({"q": "red", "where": "label=vegtables|fruti"}, {"q": "red", "where": "label=vegetables|fruti"}, 400),
        ({"where": "label=vegtables"}, {"where": "label=vegetables"}, 200),
        ({"q": "red", "where": "lable=fruit"}, {"q": "red", "where": "label=fruit"}, 400),
        ({"where": "!captoin?"}, {"where": "!caption?"}, 400),
        ({"q": "red", "group-by": "lable"}, {"q": "red", "group-by": "label"}, 400),
        ({"q": "red", "property": "sise"}, {"q": "red", "property": "size"}, 400),
        ({"like": "fruit/lemmon.png"}, {"like": "fruit/lemon.png"}, 400),
        ({"q": "red", "wher": "label=fruit"}, {"q": "red", "where": "label=fruit"}, 400),
    ],
    ids=str,
)
def test_a_page_links_to_the_search_that_was_probably_meant(
    wrong: dict[str, str], right: dict[str, str], status: int, pages: TestClient
) -> None:
    page = fetch(pages, f"/?{urlencode(wrong)}", status)

    assert "did you mean" in page
    assert find_link(page, "correction") == f"/?{urlencode(right)}"


@pytest.mark.stack
def test_the_link_leads_to_images(pages: TestClient) -> None:
    link = find_link(fetch(pages, "/?where=label%3Dvegtables"), "correction")

    assert list_cards(fetch(pages, link)) == [
        row["path"] for row in fetch_rows(pages, "/search.json?where=label%3Dvegetables")
    ]


@pytest.mark.stack
@pytest.mark.parametrize("query", ["q=red&where=label%3Dnowhere", "where=label%3Dnowhere"])
def test_a_value_that_is_near_to_no_other_has_those_there_are(query: str, pages: TestClient) -> None:
    page = fetch(pages, f"/?{query}")

    assert "no image has the label &#39;nowhere&#39;; there are " in page
    assert find_link(page, "correction") == ""


@pytest.mark.parametrize(
    ("query", "given"),
    [("q=vegtables", "vegtables"), ("where=label%3Dfruit", "vegtables"), ("where=path~a", "a"), ("", "a")],
)
def test_an_address_without_the_name_stays_as_it_is(query: str, given: str) -> None:
    assert correct(query, InputError("...", Suggestion(given, "vegetables"))) is None


def test_an_error_that_suggests_nothing_corrects_nothing() -> None:
    assert correct("q=a", InputError("...")) is None
    assert correct("q=a", ValueError("...")) is None
