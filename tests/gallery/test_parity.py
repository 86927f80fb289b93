"""The page shows what `clip-search --json` prints, for thirty combinations of options."""

from collections.abc import Iterator
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from clip_vectorizer.query.cli.search import main as search_command
from tests.gallery.in_process import fetch_rows, list_cards, open_pages
from tests.stack.support import Stack, run_inside

pytestmark = pytest.mark.stack

CAT, LEMON = "animals/cat.png", "fruit/lemon.png"
# The parameters of the address; q is the text, a flag has the value 1.
COMBINATIONS: list[list[tuple[str, str]]] = [
    [("q", "red apple")],
    [("q", "草莓")],
    [("q", "horse + stripes - fruit")],
    [("q", "horse + stripes - fruit"), ("plain", "1")],
    [("q", "-1 apple")],
    [("q", "owl"), ("limit", "7")],
    [("q", "owl"), ("limit", "7"), ("offset", "7")],
    [("q", "owl"), ("where", "label=birds")],
    [("q", "owl"), ("where", "label=birds|animals"), ("where", "size>2000")],
    [("q", "owl"), ("where", "path~*.png"), ("limit", "3")],
    [("q", "bird"), ("min-similarity", "0.25")],
    [("q", "bird"), ("auto-limit", "1")],
    [("q", "bird"), ("diversity", "0.5"), ("limit", "12")],
    [("q", "bird"), ("captions", "0.5")],
    [("q", "bird"), ("captions", "1"), ("where", "label=birds")],
    [("q", "fruit"), ("group-by", "label"), ("limit", "4")],
    [("q", "fruit"), ("group-by", "label"), ("per-group", "2"), ("limit", "6"), ("where", "label!=food")],
    [("q", "fruit"), ("dedupe", "1"), ("limit", "9")],
    [("q", "apple"), ("move-to", "green"), ("force", "0.7")],
    [("q", "apple"), ("move-away", "red"), ("limit", "5")],
    [("like", CAT)],
    [("like", CAT), ("where", "label=animals"), ("limit", "6")],
    [("like", CAT), ("like", LEMON)],
    [("like", CAT), ("minus", "animal")],
    [("plus", "cat"), ("plus", "dog"), ("minus", "fish")],
    [("q", "cat"), ("like", LEMON), ("minus", "animal"), ("dedupe", "1")],
    [("q", "cat"), ("property", "size"), ("property", "mime"), ("limit", "3")],
    [("where", "label=fruit")],
    [("where", "label=fruit|food"), ("where", "label?"), ("where", "size<3000")],
    [],
]


@pytest.fixture(scope="module")
def pages(stack: Stack, examples: str) -> Iterator[TestClient]:
    with open_pages(stack, examples) as client:
        yield client


def list_options(pairs: list[tuple[str, str]]) -> list[str]:
    """The same search as a person types it in a shell; the page has 40 results where nothing else is given."""
    text = [value for name, value in pairs if name == "q"]
    queries = ("q", "like", "plus", "minus")
    listing = [] if any(name in queries for name, _ in pairs) else ["--list"]
    limit = [] if any(name == "limit" for name, _ in pairs) else ["--limit", "40"]
    flags = [f"--{name}" for name, _ in pairs if name in ("plain", "dedupe")]
    options = [word for name, value in pairs if name not in ("q", "plain", "dedupe") for word in (f"--{name}", value)]
    return [*listing, *limit, *flags, *options, *(["--", *text] if text else [])]


def test_there_are_thirty_combinations_and_no_two_are_equal() -> None:
    assert len({tuple(each) for each in COMBINATIONS}) == 30


@pytest.mark.parametrize("pairs", COMBINATIONS, ids=lambda pairs: urlencode(pairs) or "all")
def test_a_page_has_the_images_that_the_command_prints(
    pairs: list[tuple[str, str]], pages: TestClient, stack: Stack, examples: str
) -> None:
    options = ["--json", "--collection", examples, *list_options(pairs)]
    printed = run_inside(search_command, stack.env, *options).rows

    rows = fetch_rows(pages, f"/search.json?{urlencode(pairs)}")
    cards = list_cards(pages.get(f"/?{urlencode(pairs)}").text)

    assert [row["id"] for row in rows] == [row["id"] for row in printed]
    assert [set(row) for row in rows] == [set(row) for row in printed]
    assert cards == [row["path"] for row in printed]
    assert printed, "a combination that finds nothing compares nothing"
