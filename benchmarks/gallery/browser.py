"""What a person waits for in the browser: Chromium, by Playwright."""

from collections.abc import Sequence

from playwright.sync_api import Browser, Page

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


def open_page(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport=WINDOW).new_page()  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_selector(".card")
    return page


def time_searches(page: Page, texts: Sequence[str]) -> list[float]:
    """Milliseconds from the request until the first row is painted with its pictures, for each text."""
    return [float(page.evaluate(SEARCH, text)) for text in texts]
