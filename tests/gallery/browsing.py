"""A person at the gallery: Chromium, its pages, and what must never happen in one of them."""

import base64
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Locator, Page, Request, expect

from tests.stack.support import clean_environment

PROGRAM = "from clip_vectorizer.entry_points import gallery; gallery()"
WAIT_MILLISECONDS = 30_000  # for anything that a page does: long, as other tests run on this machine
REFUSED = "ERR_CONNECTION_REFUSED"
END_SECONDS = 60  # until a gallery is gone; tests/gallery/test_start.py measures it
FAILED_REQUEST = "Failed to load resource"  # Chromium's own line for a status above 399
NO_DATA = "/dev/null"  # searches that a developer saved are not part of a test
STEP_PIXELS = 4000  # of a scroll: more than a page of results is high

# A DataTransfer with one file, as a drop or a paste brings it.
TRANSFER = """
([name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  return transfer;
}
"""
PASTE = """
(transfer) => document.body.dispatchEvent(
  new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true}))
"""
MORE_HAS_COME = """
(status) => document.querySelector("#status").innerText !== status || !document.querySelector("#more")
"""
# The cards that are in the page: [place in the list, id or path].
PLACES = """
(what) => [...document.querySelectorAll("#results .card")].map(
  (card) => [Number(card.ariaPosInSet), card.dataset[what]])
"""
expect.set_options(timeout=WAIT_MILLISECONDS)


@contextmanager
def serving_gallery(*options: str | Path, env: Mapping[str, str]) -> Iterator[str]:
    """The address, without its last slash, of a `clip-gallery` with these options. Raises RuntimeError if it ends."""
    with start_gallery(*options, env=env) as process:
        yield read_address(process)


@contextmanager
def start_gallery(*options: str | Path, env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", PROGRAM, "--port", "0", *map(str, options)]
    environment = clean_environment() | {"XDG_DATA_HOME": NO_DATA, "XDG_STATE_HOME": NO_DATA} | dict(env)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=END_SECONDS)


def read_address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None and process.stderr is not None
    line = process.stdout.readline().strip()
    if not line:
        raise RuntimeError(f"clip-gallery ended: {process.stderr.read()}")
    return line.rstrip("/")


@dataclass(eq=False)
class Visitor:
    """One browser context with one page, and all that went wrong in it.

    `failures`: whether requests may fail (a page that shows an error has a status above 399).
    """

    page: Page
    address: str
    failures: bool = False
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)

    def begin(self, address: str, failures: bool) -> None:
        """Come as somebody new, perhaps to another gallery."""
        self.address, self.failures = address, failures
        for each in (self.dialogs, self.errors, self.foreign):
            each.clear()

    def leave(self) -> None:
        """Stop what the page still does, close all others, and forget what they stored."""
        context = self.page.context
        for page in context.pages:
            if page is not self.page:
                page.close()
        if self.page.url != "about:blank":
            self.page.evaluate("() => { stop(); sessionStorage.clear(); localStorage.clear(); }")
            self.page.goto("about:blank")
        context.clear_cookies()

    def watch(self) -> None:
        context = self.page.context
        context.on("dialog", self._note_dialog)
        context.on("request", self._note_request)
        context.on("console", self._note_console)
        context.on("weberror", lambda error: self.errors.append(str(error.error)))

    def _note_dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", "data:", "blob:")):
            self.foreign.append(request.url)

    def _note_console(self, message: ConsoleMessage) -> None:
        is_late = REFUSED in message.text and "/ingest" in message.location["url"]  # it looks while its gallery ends
        if message.type == "error" and not is_late and not (self.failures and message.text.startswith(FAILED_REQUEST)):
            self.errors.append(message.text)

    @property
    def complaints(self) -> list[str]:
        return [*self.dialogs, *self.errors, *self.foreign]

    def open(self, path: str = "/") -> Page:
        self.page.goto(f"{self.address}{path}")
        return self.page

    def search(self, words: str) -> None:
        """Type and press Enter, and wait for the address, which comes with the results."""
        self.page.fill("#q", words)
        self.page.press("#q", "Enter")
        self.page.wait_for_url(re.compile(r"[?&]q="))

    def follow(self, link: Locator) -> None:
        """Click what leads to another page, and wait until it is loaded."""
        with self.page.expect_navigation():
            link.click()

    @property
    def cards(self) -> Locator:
        return self.page.locator(".card")

    @property
    def ids(self) -> list[str]:
        return [str(each) for each in self.cards.evaluate_all("(cards) => cards.map((card) => card.dataset.id)")]

    @property
    def paths(self) -> list[str]:
        return [str(each) for each in self.cards.evaluate_all("(cards) => cards.map((card) => card.dataset.path)")]

    @property
    def first(self) -> Locator:
        return self.cards.first

    @property
    def loaded(self) -> int:
        """How many images have come, by the status line; those far from the window are not in the page."""
        return int(self.page.locator("#status").inner_text().removeprefix("The ").split()[0].replace(",", ""))

    def scroll_to_the_end(self) -> None:
        """As a person does, until no more results come."""
        while self.page.locator("#more").count():
            status = self.page.locator("#status").inner_text()
            self.page.mouse.wheel(0, STEP_PIXELS)
            self.page.wait_for_function(MORE_HAS_COME, arg=status)

    def read_list(self, what: str = "id") -> list[str]:
        """Scroll from the top through all cards that are loaded, and return their ids or paths in order.

        Raises AssertionError for a gap, and for two cards at one place.
        """
        found: dict[int, str] = {}
        count = self.loaded
        self.page.evaluate("scrollTo(0, 0)")
        while len(found) < count:
            before = len(found)
            self.page.wait_for_timeout(50)
            for place, value in self.page.evaluate(PLACES, what):
                assert found.setdefault(place, value) == value, f"two cards at place {place}"
            assert len(found) > before or not self._is_at_the_end(), f"{len(found)} of {count} cards"
            self.page.mouse.wheel(0, self.page.viewport_size["height"] if self.page.viewport_size else STEP_PIXELS)
        assert sorted(found) == list(range(1, count + 1))
        return [found[place] for place in sorted(found)]

    def _is_at_the_end(self) -> bool:
        return bool(self.page.evaluate("scrollY + innerHeight >= document.body.scrollHeight"))

    def drop(self, name: str, data: bytes, media_type: str = "image/png") -> None:
        transfer = self.page.evaluate_handle(TRANSFER, [name, media_type, base64.b64encode(data).decode()])
        for event in ("dragover", "drop"):
            self.page.dispatch_event("body", event, {"dataTransfer": transfer})

    def paste(self, name: str, data: bytes, media_type: str = "image/png") -> None:
        transfer = self.page.evaluate_handle(TRANSFER, [name, media_type, base64.b64encode(data).decode()])
        self.page.evaluate(PASTE, transfer)


def new_visitor(browser: Browser, address: str, **options: Any) -> Visitor:
    """`options`: as Browser.new_context has them."""
    context = browser.new_context(**options)
    context.set_default_timeout(WAIT_MILLISECONDS)
    visitor = Visitor(context.new_page(), address)
    visitor.watch()
    return visitor


class VisitorPool:
    """Visitors of one browser. A new one takes five times as long as one that comes again, so those that leave return,
    with nothing but the browser's cache of files from before. `fresh` ones do not: they are for tests that look at the
    cache, or change more than a page.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._here: list[tuple[str, Visitor]] = []  # by the options of their contexts
        self._away: list[tuple[str, Visitor]] = []

    def bring(self, address: str, failures: bool, fresh: bool, **options: Any) -> Visitor:
        key = "fresh" if fresh else repr(sorted(options.items()))
        found = next((each for each in self._away if each[0] == key), None)
        if found:
            self._away.remove(found)
        else:
            found = key, new_visitor(self._browser, address, **options)
        found[1].begin(address, failures)
        self._here.append(found)
        return found[1]

    def dismiss(self) -> list[list[str]]:
        """Send all away, and return what was wrong with each, of those with whom something was."""
        complaints = [list(each.complaints) for _, each in self._here if each.complaints]
        for key, visitor in self._here:
            if key == "fresh":
                visitor.page.context.close()
            else:
                visitor.leave()
                self._away.append((key, visitor))
        self._here.clear()
        return complaints


def has_loaded(image: Locator) -> bool:
    """Whether a picture is shown, not the sign of a broken one."""
    try:
        return bool(image.evaluate("(image) => image.decode().then(() => image.naturalWidth > 0, () => false)"))
    except Error:
        return False
