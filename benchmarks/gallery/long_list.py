"""What a long list costs the browser: memory of the process that shows it, and its longest task.

A round is a new browser: what one list leaves behind is not counted for the next.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil  # type: ignore[import-untyped]
from playwright.sync_api import Browser, Page

from benchmarks.chromium import open_chromium
from benchmarks.gallery.browser import WINDOW, open_page

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
WALK = """
async () => {
  for (let y = scrollY; y > 0; y -= innerHeight) {
    scrollTo(0, y);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}
"""
SCROLL_SECONDS = 600.0
MEGABYTE = 1e6
TASK = "RunTask"  # in a trace, one task of a thread


@dataclass(frozen=True, slots=True)
class LongList:
    """A list that was scrolled through."""

    cards: int
    empty_megabytes: float  # of the process that shows the page, its share of what processes share: about:blank
    first_megabytes: float  # the first page of results
    megabytes: float
    heap_megabytes: float  # of its JavaScript
    longest_task_ms: float  # 0 where none took 50 ms
    seconds: float


def measure_list(url: str, cards: int) -> LongList:
    """Scroll to the end until `cards` are there, and back, window by window.

    Raises RuntimeError where they do not come.
    """
    with open_chromium() as browser:
        page = browser.new_context(viewport=WINDOW).new_page()  # type: ignore[arg-type]
        empty = read_renderer_bytes()
        page.goto(url)
        page.wait_for_load_state("networkidle")
        first = read_renderer_bytes()
        page.evaluate(WATCH_TASKS)
        shown, seconds = scroll_list(page, cards)
        tasks = [float(each) for each in page.evaluate("() => longTasks")]
        memory = read_renderer_bytes()
        return LongList(
            shown,
            empty / MEGABYTE,
            first / MEGABYTE,
            memory / MEGABYTE,
            read_heap(page),
            max(tasks, default=0),
            seconds,
        )


def measure_processor(url: str, cards: int) -> float:
    """Return the processor time of the longest task, in milliseconds: other programs count less in it."""
    with open_chromium() as browser:
        page = open_page(browser, url)
        events = trace(browser, lambda: scroll_list(page, cards))
    threads = find_page_threads(events)
    return max(float(each["tdur"]) for each in events if is_task(each, threads)) / 1e3


def scroll_list(page: Page, cards: int) -> tuple[int, float]:
    """Return how many cards came, and in how many seconds."""
    began = time.monotonic()
    while (shown := int(page.evaluate(SCROLL))) < cards:
        if time.monotonic() - began > SCROLL_SECONDS:
            raise RuntimeError(f"{shown} cards after {SCROLL_SECONDS:.0f} s")
        page.wait_for_timeout(50)
    seconds = time.monotonic() - began
    page.evaluate(WALK)
    return shown, seconds


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


def trace(browser: Browser, act: Callable[[], object]) -> list[Mapping[str, Any]]:
    """Return what Chromium notes of its tasks meanwhile."""
    session, events, ended = browser.new_browser_cdp_session(), list[Mapping[str, Any]](), list[object]()
    session.on("Tracing.dataCollected", lambda found: events.extend(found["value"]))
    session.on("Tracing.tracingComplete", lambda found: ended.append(found))
    session.send("Tracing.start", {"traceConfig": {"includedCategories": ["toplevel"], "excludedCategories": ["*"]}})
    act()
    session.send("Tracing.end")
    while not ended:
        browser.contexts[0].pages[0].wait_for_timeout(50)
    return events


def find_page_threads(events: Sequence[Mapping[str, Any]]) -> set[tuple[int, int]]:
    names = [each for each in events if each.get("name") == "thread_name"]
    return {(each["pid"], each["tid"]) for each in names if each["args"]["name"] == "CrRendererMain"}


def is_task(event: Mapping[str, Any], threads: set[tuple[int, int]]) -> bool:
    return event["name"].endswith(TASK) and "tdur" in event and (event["pid"], event["tid"]) in threads
