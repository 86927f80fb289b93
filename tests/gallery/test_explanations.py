"""What the page explains finds the same images: its curl is run, its Python and its command too."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlencode

import pytest
from starlette.testclient import TestClient

from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.query.cli.search import main as search_command
from tests.gallery.in_process import fetch, fetch_rows, open_pages
from tests.stack.support import Stack, clean_environment, run_inside

pytestmark = pytest.mark.stack

SEARCHES = [
    {"q": "red apple's", "limit": "5"},
    {"q": "草莓", "where": "label=fruit", "limit": "5"},
    {"q": "horse + stripes - fruit", "limit": "5", "offset": "5"},
    {"like": "animals/cat.png", "limit": "5"},
    {"q": "bird", "captions": "0.5", "limit": "5"},
]


@pytest.fixture(scope="module")
def pages(stack: Stack, examples: str) -> Iterator[TestClient]:
    with open_pages(stack, examples) as client:
        yield client


def read_part(page: str, id: str) -> str:
    found = re.search(rf'<code id="{id}">(.*?)</code>', page, re.DOTALL)
    assert found, f"no {id} on the page"
    return unescape(found[1])


@pytest.mark.parametrize("search", SEARCHES, ids=urlencode)
def test_the_curl_of_a_page_finds_its_images(
    search: dict[str, str], pages: TestClient, stack: Stack, examples: str
) -> None:
    shown = [row["path"] for row in fetch_rows(pages, f"/search.json?{urlencode(search)}")]
    page = fetch(pages, f"/explain?{urlencode(search)}")

    curl = read_part(page, "curl")
    ran = subprocess.run(
        ["sh", "-c", f"{curl} --noproxy '*'"],
        env=clean_environment() | stack.env,
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert [row["path"] for row in json.loads(ran.stdout)["data"]["Get"][examples]] == shown
    assert [row["path"] for row in stack.graphql(read_part(page, "graphql"))] == shown


@pytest.mark.parametrize("search", SEARCHES, ids=urlencode)
def test_the_python_and_the_command_of_a_page_find_its_images(
    search: dict[str, str], pages: TestClient, stack: Stack
) -> None:
    shown = [row["path"] for row in fetch_rows(pages, f"/search.json?{urlencode(search)}")]
    page = fetch(pages, f"/explain?{urlencode(search)}")

    with connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client:
        names: dict[str, object] = {"client": client}
        exec(read_part(page, "python"), names)
    assert [each.properties["path"] for each in names["found"].objects] == shown  # type: ignore[attr-defined]

    _, *words = shlex.split(read_part(page, "shell"))
    printed = run_inside(search_command, stack.env, "--json", *words).rows
    assert [row["path"] for row in printed] == shown


def test_a_search_that_graphql_lacks_says_so(pages: TestClient) -> None:
    page = fetch(pages, "/explain?q=bird&diversity=0.5")

    assert "GraphQL has no such query" in page
    assert 'id="curl"' not in page


def test_a_listing_has_its_command_alone(pages: TestClient, examples: str) -> None:
    page = fetch(pages, "/explain?where=label%3Dfruit")

    assert read_part(page, "shell") == f"clip-search --collection={examples} --list --where=label=fruit --limit=40"
    assert "searches for nothing" in page


def test_what_cannot_be_searched_has_its_sentence(pages: TestClient) -> None:
    assert "holds no image nothing.png" in fetch(pages, "/explain?like=nothing.png", 400)
