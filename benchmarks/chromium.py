"""Debian's Chromium, by Playwright: one way to find and start it, for tests, benchmarks and pictures of documents."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = "Chromium is missing: apt-get install chromium (`make test` does it where it runs as root)"
QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", *QUIET)


@contextmanager
def open_chromium(*arguments: str) -> Iterator[Browser]:
    """A browser with these further arguments, closed at the end. Raises RuntimeError where none is installed.

    with open_chromium("--force-color-profile=srgb") as browser:
        browser.new_page().goto("about:blank")
    """
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*ARGUMENTS, *arguments])
        try:
            yield browser
        finally:
            browser.close()


def find_chromium(path: str | None = None) -> str:
    """The program's path, searched in `path` or PATH. Raises RuntimeError without one."""
    for name in NAMES:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise RuntimeError(MISSING)
