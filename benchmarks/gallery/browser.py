"""What a person waits for in the browser, and what a long list costs it: Chromium, by Playwright."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil  # type: ignore[import-untyped]
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
WATCH_TASKS = """
() => {
  window.longTasks = [];
  new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((each) => each.duration)))
    .observe({ type: "longtask", buffered: true });
}
"""
SCROLL = """
() => {
  scrollTo(0, document.body.scrollHeight);
  return Number(document.querySelector("#status").textContent.split(" ")[0].replaceAll(",", ""));  // 5,000 of ...
}
"""
SCROLL_SECONDS = 600.0
MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class LongList:
    """A list that was scrolled through."""

    cards: int
    megabytes: float  # of the process that shows the page, its share of what processes share
    heap_megabytes: float  # of its JavaScript
    longest_task_ms: float  # 0 where none took 50 ms
    seconds: float


def open_page(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport=WINDOW).new_page()  # type: ignore[arg-type]
    page.goto(url)
    page.wait_for_selector(".card")
    return page


def time_searches(page: Page, texts: Sequence[str]) -> list[float]:
    """Milliseconds from the request until the first row is painted with its pictures, for each text."""
    return [float(page.evaluate(SEARCH, text)) for text in texts]


def scroll_list(page: Page, cards: int) -> LongList:
    """Scroll to the end again and again. Raises RuntimeError where that many cards do not come."""
    page.evaluate(WATCH_TASKS)
    began = time.monotonic()
    while (shown := int(page.evaluate(SCROLL))) < cards:
        if time.monotonic() - began > SCROLL_SECONDS:
            raise RuntimeError(f"{shown} cards after {SCROLL_SECONDS:.0f} s")
        page.wait_for_timeout(50)
    seconds = time.monotonic() - began
    for step in range(0, 11):  # and through it, as a person looks for something seen before
        page.evaluate(f"() => scrollTo(0, document.body.scrollHeight * {step / 10})")
        page.wait_for_timeout(200)
    tasks = [float(each) for each in page.evaluate("() => longTasks")]
    return LongList(shown, read_renderer_bytes() / MEGABYTE, read_heap(page), max(tasks, default=0.0), seconds)


def read_renderer_bytes() -> int:
    """Of the largest process of this one's Chromium that shows a page."""
    found = [each for each in psutil.Process().children(recursive=True) if "--type=renderer" in each.cmdline()]
    return max(int(each.memory_full_info().pss) for each in found)


def read_heap(page: Page) -> float:
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return float(metrics["JSHeapUsedSize"]) / MEGABYTE
