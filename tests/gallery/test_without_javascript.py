"""Everything that a page does works without JavaScript: forms and links."""

import re

import pytest
from playwright.sync_api import expect

from tests.gallery.browsing import Visitor
from tests.gallery.conftest import Visit
from tests.stack.support import EXAMPLES

pytestmark = pytest.mark.stack

ALL = 317
PAGE = 40


def search(visitor: Visitor, words: str) -> None:
    visitor.page.fill("#q", words)
    with visitor.page.expect_navigation():
        visitor.page.press("#q", "Enter")


def visit_plainly(visit: Visit, path: str) -> Visitor:
    return visit(path, java_script_enabled=False)


def test_a_form_searches(visit: Visit) -> None:
    visitor = visit_plainly(visit, "/")
    search(visitor, "red apple")
    assert visitor.paths[0] == "fruit/red-apple.png"
    visitor.page.fill("#q", "草莓")
    visitor.follow(visitor.page.locator("#search button").first)
    expect(visitor.first).to_have_attribute("data-path", "fruit/strawberry.png")


@pytest.mark.parametrize("path", ["/?limit=150", "/?q=an+animal&limit=150"])
def test_links_lead_through_all_images_once(visit: Visit, path: str) -> None:
    visitor = visit_plainly(visit, path)
    ids = visitor.ids
    pages = 1
    while visitor.page.locator("a#more[rel=next]").count():
        visitor.follow(visitor.page.locator("a#more"))
        ids += visitor.ids
        pages += 1
    assert pages == 3
    assert len(ids) == ALL == len(set(ids))


def test_filters_are_links_and_forms_keep_them(visit: Visit) -> None:
    visitor = visit_plainly(visit, "/?q=red")
    visitor.follow(visitor.page.locator(".facet[data-name=label] a", has_text="fruit").first)
    assert {path.partition("/")[0] for path in visitor.paths} == {"fruit"}
    search(visitor, "green")
    assert {path.partition("/")[0] for path in visitor.paths} == {"fruit"}
    visitor.follow(visitor.page.locator("#chips .where a").last)
    assert "where" not in visitor.page.url and len(visitor.paths) == PAGE


def test_more_like_this_is_a_link(visit: Visit) -> None:
    visitor = visit_plainly(visit, "/?q=cat&limit=5")
    key = visitor.paths[0]
    visitor.follow(visitor.first.locator("a.like"))
    assert "like=" in visitor.page.url
    assert visitor.paths and key not in visitor.paths


def test_a_form_sends_a_picture_and_the_answer_can_be_kept(visit: Visit) -> None:
    visitor = visit_plainly(visit, "/?where=label%3Danimals")
    visitor.page.set_input_files("#file", EXAMPLES / "animals" / "cat.png")
    visitor.follow(visitor.page.locator("#drop button"))
    visitor.page.wait_for_url(re.compile(r"image=sha256"))
    assert visitor.paths[0] == "animals/cat.png"
    assert {path.partition("/")[0] for path in visitor.paths} == {"animals"}, "the filter stays"
    ids, link = visitor.ids, visitor.page.url
    again = visit_plainly(visit, link.removeprefix(visitor.address))
    assert again.ids == ids


def test_a_picture_has_a_page_with_a_way_back(visit: Visit) -> None:
    visitor = visit_plainly(visit, "/?q=red+apple")
    ids = visitor.ids
    visitor.follow(visitor.first.locator("a.picture"))
    visitor.page.wait_for_url(re.compile(rf"/image/{ids[0]}"))
    expect(visitor.page.locator("main")).to_contain_text("fruit/red-apple.png")
    visitor.follow(visitor.page.locator("a#back"))
    assert visitor.ids == ids


def test_a_problem_is_a_sentence_with_links_that_lead_on(visit: Visit) -> None:
    visitor = visit("/?q=red&min-similarity=7", java_script_enabled=False, failures=True)
    problem = visitor.page.locator("#problem[role=alert]")
    expect(problem).to_contain_text("min-similarity")
    expect(visitor.page.locator("#q")).to_have_value("red")
    visitor.follow(problem.locator("a", has_text="Begin again"))
    assert len(visitor.paths) == PAGE
