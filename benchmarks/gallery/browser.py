"""What a person waits for in the browser: Chromium, by Playwright."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("--background-networking", "--component-update", "--sync")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", *(f"--disable-{name[2:]}" for name in QUIET), "--no-first-run")
WINDOW = {"width": 1440, "height": 900}
SEARCH = """
async (text) => {
  const ids = () => [...document.querySelectorAll(".card")].slice(0, 4).map((card) => card.dataset.id).join();
  const shown = () => [...document.querySelectorAll(".card img")].slice(0, 4).every((image) => image.complete);
  const before = ids();
  document.querySelector("#q").value = text;
  performance.mark("sent");
  document.querySelector("#search").requestSubmit();
  const deadline = performance.now() + 10000;
  while (!(ids() !== before && ids() && shown())) {
    if (performance.now() > deadline) throw new Error(`no new results of ${text} after 10 s`);
    await new Promise(requestAnimationFrame);
  }
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));  // it is painted
  return performance.measure("search", "sent").duration;
}
"""


@contextmanager
def open_chromium() -> Iterator[Browser]:
    """Raises RuntimeError where it is not installed."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise RuntimeError("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def open_page(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport=WINDOW).new_page()  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_selector(".card")
    return page


def time_searches(page: Page, texts: Sequence[str]) -> list[float]:
    """Milliseconds from the request until the first row is painted with its pictures, for each text."""
    return [float(page.evaluate(SEARCH, text)) for text in texts]
