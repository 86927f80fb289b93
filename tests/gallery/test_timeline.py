"""The time line in a browser: years, months, days, and back; each choice is a filter of the search."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from playwright.sync_api import expect

from ingest.items import Facts
from tests.gallery.axe import find_violations
from tests.gallery.browsing import Visitor
from tests.gallery.conftest import Visit
from tests.gallery.in_process import serving_pages
from tests.stack.storing import GREEN, RED, Place, picture
from tests.stack.support import Stack, http

pytestmark = pytest.mark.stack

PHONE = {"width": 360, "height": 740}
TIMES = (
    *(datetime(2021, 6, day, 12, tzinfo=UTC) for day in (1, 1, 1, 15)),
    datetime(2021, 12, 31, 23, 59, 59, tzinfo=UTC),
    datetime(2023, 1, 1, tzinfo=UTC),
)
TIMELESS = 2
EDITED = datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def dated(stack: Stack) -> Iterator[str]:
    """The address of a gallery with six pictures with times, and two without; all were edited in March 2024."""
    place = Place(stack, f"Test{uuid4().hex[:12]}", embed_here=True)
    rng = np.random.default_rng(0)
    facts: list[dict[str, Any]] = [*({"taken_at": time} for time in TIMES), *({} for _ in range(TIMELESS))]
    with place.open() as store:
        items = [
            replace(
                picture(f"{number}.png", RED if number % 2 else GREEN, rng.random(256).astype(np.float32)),
                facts=Facts("red" if number % 2 else "green", "", {**each, "edited": EDITED + timedelta(days=number)}),
            )
            for number, each in enumerate(facts)
        ]
        assert not store.put(items)
    with serving_pages(stack, place.collection) as address:
        yield address
    stack.weaviate("DELETE", f"/v1/schema/{place.collection}").raise_for_status()


def read_bars(visitor: Visitor) -> dict[str, int]:
    """The bars with images: title and count."""
    rows = visitor.page.locator("#bars a").evaluate_all(
        "(all) => all.map((each) => ['.period', '.count'].map((name) => each.querySelector(name).textContent))"
    )
    return {title: int(count) for title, count in rows}


@pytest.mark.parametrize("scripts", [True, False])
def test_years_lead_to_months_to_days_and_back(dated: str, visit: Visit, scripts: bool) -> None:
    visitor = visit("/", address=dated, java_script_enabled=scripts)
    page = visitor.page
    visitor.follow(page.locator("a#timeline"))
    assert read_bars(visitor) == {"2021": 5, "2023": 1}
    expect(page.locator("#bars li")).to_have_count(3)
    expect(page.locator("#without")).to_have_text("2 without a time")
    visitor.follow(page.locator("#bars a", has_text="2021"))
    assert read_bars(visitor) == {"Jun": 4, "Dec": 1} and "where=taken_at%3D2021" in page.url
    visitor.follow(page.locator("#bars a", has_text="Jun"))
    assert read_bars(visitor) == {"1": 3, "15": 1}
    expect(page.locator("#bars li")).to_have_count(30)
    visitor.follow(page.locator("#bars a").first)
    expect(page.locator("#bars a[aria-current]")).to_have_count(1)
    assert len(visitor.ids) == 3
    visitor.follow(page.locator("a#all"))
    assert "where=taken_at%3D2021-06-01" in page.url and len(visitor.ids) == 3
    page.go_back()
    for expected in (4, 5, len(TIMES) + TIMELESS):
        visitor.follow(page.locator("a#take-back"))
        assert len(visitor.ids) == expected
    assert "where" not in page.url


def test_images_without_a_time_are_a_filter(dated: str, visit: Visit) -> None:
    visitor = visit("/timeline", address=dated)
    visitor.follow(visitor.page.locator("a#without"))
    assert len(visitor.ids) == TIMELESS


def test_a_search_keeps_its_words_and_filters_and_counts_the_filters_alone(dated: str, visit: Visit) -> None:
    visitor = visit("/timeline?q=a+red+square&where=label%3Dred", address=dated)
    assert read_bars(visitor) == {"2021": 2, "2023": 1}
    expect(visitor.page.locator("main")).to_contain_text("leaves none out")
    visitor.follow(visitor.page.locator("#bars a", has_text="2021"))
    assert "q=a+red+square" in visitor.page.url and "label%3Dred" in visitor.page.url
    assert len(visitor.ids) == 2


def test_another_property_with_times_is_a_choice(dated: str, visit: Visit) -> None:
    visitor = visit("/timeline", address=dated)
    visitor.follow(visitor.page.locator("nav[aria-label=Property] a", has_text="edited"))
    assert read_bars(visitor) == {"2024": 8}
    visitor.follow(visitor.page.locator("#bars a"))
    assert read_bars(visitor) == {"Mar": 8}
    assert "by=edited" in visitor.page.url and "edited%3D2024" in visitor.page.url


def test_the_counts_come_as_lines(dated: str) -> None:
    lines = http("GET", f"{dated}/timeline.json?where=taken_at%3D2021").text.splitlines()
    assert len(lines) == 12 and lines[5] == '{"period": "2021-06", "count": 4}'


@pytest.mark.parametrize("path", ["/timeline?by=label", "/timeline?where=lable%3Dfruit", "/timeline?x=1"])
def test_a_bad_address_is_a_sentence(dated: str, visit: Visit, path: str) -> None:
    visitor = visit(path, address=dated, failures=True)
    expect(visitor.page.locator("#problem[role=alert]")).to_be_visible()


@pytest.mark.parametrize("path", ["/timeline", "/timeline?where=taken_at%3D2021-06-01&q=red"])
def test_everyone_can_use_it(dated: str, visit: Visit, path: str) -> None:
    visitor = visit(path, address=dated, color_scheme="light")
    assert find_violations(visitor.page) == []
    visitor.page.emulate_media(color_scheme="dark")
    assert find_violations(visitor.page) == []
    visitor.page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert visitor.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    heights = visitor.page.locator("#bars a, nav a").evaluate_all("(all) => all.map((each) => each.offsetHeight)")
    assert min(heights) >= 44, "a finger hits it"


def test_bars_are_as_high_as_their_counts(dated: str, visit: Visit) -> None:
    visitor = visit("/timeline", address=dated, viewport={"width": 1440, "height": 900})
    tops = visitor.page.locator("#bars .up path").evaluate_all(
        "(all) => all.map((each) => each.getBoundingClientRect().height)"
    )
    assert tops[2] == pytest.approx(tops[0] / 5, rel=0.02) and tops[1] == 0
