"""The gallery's page while Weaviate or the sidecar goes away and comes back: a sentence, a way on, nothing lost."""

import re
import signal
import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.chromium import open_chromium
from tests.gallery.browsing import Visitor, new_visitor, serving_gallery
from tests.stack.faults.servers import World
from tests.stack.support import EXAMPLES, http, run_command

pytestmark = pytest.mark.stack

APPLE = "red-apple.png"
FAILED_MORE = re.compile("again|failed")
PATIENCE_SECONDS = 10  # for a sentence instead of results


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_chromium() as browser:
        yield browser


@pytest.fixture
def visitor(world: World, chromium: Browser) -> Iterator[Visitor]:
    """On a search in a gallery of its own, with words and a picture."""
    collection = f"Gallery{uuid4().hex[:12]}"
    run_command("clip-ingest", EXAMPLES / "fruit", "--collection", collection, env=world.stack.env, expect=0)
    with serving_gallery("--collection", collection, env=world.stack.env) as address:
        visitor = new_visitor(chromium, address)
        visitor.failures = True
        visitor.open("/?q=red+apple")
        visitor.drop(APPLE, (EXAMPLES / "fruit" / APPLE).read_bytes())
        visitor.page.wait_for_url(re.compile("image=sha256"))
        expect(visitor.page.locator("#chips")).to_contain_text(APPLE)  # changed together with the results
        yield visitor
        visitor.page.context.close()
    world.mend()
    world.truth.weaviate("DELETE", f"/v1/schema/{collection}")


def assert_problem(visitor: Visitor, *words: str) -> None:
    """The page has the sentence of the command, and the search that was typed."""
    problem = visitor.page.locator("#problem")
    expect(problem).to_be_visible()
    for each in words:
        expect(problem).to_contain_text(each)
    assert "Traceback" not in problem.inner_text()


def try_again(visitor: Visitor) -> None:
    visitor.page.locator("#problem").get_by_role("link", name="Try again").click()
    expect(visitor.first).to_be_visible()
    expect(visitor.page.locator("#problem")).to_have_count(0)


def test_a_sidecar_that_is_away_is_named_and_the_same_search_works_when_it_is_back(
    world: World, visitor: Visitor
) -> None:
    world.proxy.close()
    visitor.search("a yellow banana")
    assert_problem(visitor, "VECTORIZER_URL", world.proxy.url)
    assert http("GET", f"{visitor.address}/?q=red").status_code == 503
    expect(visitor.page.locator("#q")).to_have_value("a yellow banana")
    world.proxy.open()
    try_again(visitor)
    assert len(visitor.ids) > 10
    assert visitor.complaints == []


def test_a_weaviate_that_is_restarted_under_the_page_is_named_and_found_again(world: World, visitor: Visitor) -> None:
    before, link = visitor.ids, visitor.page.url
    assert visitor.paths[0] == APPLE
    world.weaviate.end(signal.SIGTERM)
    began = time.monotonic()
    visitor.page.reload()
    assert_problem(visitor, "Weaviate", world.weaviate.url)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert http("GET", f"{visitor.address}/ready").status_code == 503
    assert http("GET", f"{visitor.address}/static/gallery.css").status_code == 200
    world.weaviate.start()
    try_again(visitor)
    assert visitor.page.url == link and visitor.ids == before
    expect(visitor.page.locator("#q")).to_have_value("red apple")
    expect(visitor.page.locator("#chips")).to_contain_text(APPLE)
    assert http("GET", f"{visitor.address}/ready").status_code == 200
    assert visitor.complaints == []


def test_a_list_that_grows_while_weaviate_is_away_keeps_what_it_has(world: World, visitor: Visitor) -> None:
    """More results fail with a link to try again, and the ones above stay."""
    visitor.open("/?limit=5")
    visitor.page.wait_for_function("document.querySelectorAll('.card').length >= 5")
    page = Visitor(visitor.page.context.new_page(), visitor.address)
    page.page.route("**/*after=*", lambda route: route.abort())  # as with no network
    page.open("/?limit=5")
    page.page.mouse.wheel(0, 4000)
    expect(page.page.locator("#more")).to_contain_text(FAILED_MORE)
    assert len(page.ids) == 5
    page.page.unroute("**/*after=*")
    page.page.locator("#more").click()
    expect(page.cards.nth(9)).to_be_attached()
    ids = page.ids
    assert len(set(ids)) == len(ids)
