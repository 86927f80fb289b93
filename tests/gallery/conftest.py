"""Fixtures of the gallery's tests: galleries on the real stack, and visitors in one Chromium for each file of tests."""

import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from benchmarks.chromium import open_chromium
from tests.gallery.browsing import Visitor, VisitorPool, read_address, start_gallery
from tests.stack.conftest import new  # noqa: F401
from tests.stack.support import Stack, http

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def gallery_process(stack: Stack, examples: str) -> Iterator["subprocess.Popen[str]"]:
    """A `clip-gallery` with the 317 examples."""
    with start_gallery("--collection", examples, env=stack.env) as process:
        yield process


@pytest.fixture(scope="session")
def gallery(gallery_process: "subprocess.Popen[str]") -> str:
    """Its address."""
    return read_address(gallery_process)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Of a module, not of the session: while it is open, asyncio.run() of another test would fail."""
    with open_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def visitors(chromium: Browser) -> VisitorPool:
    return VisitorPool(chromium)


@pytest.fixture
def visit(visitors: VisitorPool, gallery: str) -> Iterator[Visit]:
    """Brings visitors, each in a new context unless `fresh` is False. At the end none may have seen a dialog, an error,
    or another host.
    """

    def visit(
        path: str | None = None, *, address: str = "", failures: bool = False, fresh: bool = True, **options: Any
    ) -> Visitor:
        visitor = visitors.bring(address or gallery, failures, fresh, **options)
        if path is not None:
            visitor.open(path)
        return visitor

    yield visit
    assert visitors.dismiss() == []


@pytest.fixture
def fetch_cards(gallery: str) -> Callable[[str], list[str]]:
    """Returns the ids of the cards on a page, in order, as any program reads them."""

    def fetch_cards(path: str) -> list[str]:
        answer = http("GET", f"{gallery}{path}")
        assert answer.status_code == 200, answer.text
        return re.findall(r'<li class="card[^>]*data-id="([^"]+)"', answer.text)

    return fetch_cards
