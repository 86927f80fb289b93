"""Whether `clip-ingest` fills the collection at the moment, how far it is, and how the last one ended."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from clip_vectorizer.errors import InputError
from clip_vectorizer.gallery.address import Address, make_path
from clip_vectorizer.gallery.pages import GalleryPages
from clip_vectorizer.ingest_state import (
    FINISHED,
    RUNNING,
    STOPPED,
    WATCHING,
    IngestState,
    name_database,
    read_states,
)

FINISHED_SECONDS = 600.0  # that an end is news
STOPPED_SECONDS = 24 * 3600.0
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class IngestLine:
    """One sentence for people, "" where nothing is going on."""

    text: str = ""
    status: str = ""  # running, watching, finished, stopped
    newest: str = ""  # the page with the newest images first


class IngestPages(GalleryPages):
    """/ingest, the line alone, which a script fetches now and then."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/ingest", self.show)]

    async def show(self, request: Request) -> Response:
        try:
            address = Address.parse(request.url.query).start
            self.gallery.connection.find_partition(address)
        except InputError as error:
            return PlainTextResponse(f"{error}\n", 400)
        return self.render("ingest.html", 200, address, ingest=await self.read(address))

    async def read(self, address: Address) -> IngestLine:
        folder, shown = self.gallery.ingests, self.gallery.connection.find_shown(address)
        if folder is None:
            return IngestLine()
        found = await asyncio.to_thread(lambda: [state for _, state in read_states(folder)])
        database = name_database(self.gallery.connection.weaviate_url)
        states = [each for each in found if each.target == (database, shown.collection, shown.tenant)]
        newest = Address((*self.gallery.connection.make_address(shown).pairs, ("newest", "1")))
        return describe(states, time.time(), make_path(newest))


def describe(states: Sequence[IngestState], now: float, newest: str = "") -> IngestLine:
    """`states`: of one collection and tenant. Several may run at once, each with a part of the images."""
    running = [each for each in states if each.find_status(now) in (RUNNING, WATCHING)]
    if running:
        status = RUNNING if any(each.status == RUNNING for each in running) else WATCHING
        return IngestLine(format_running(running, status), status, newest)
    last = max(states, key=lambda each: each.beat, default=None)
    status = last.find_status(now) if last else ""
    if last is None or now - last.beat > (FINISHED_SECONDS if status == FINISHED else STOPPED_SECONDS):
        return IngestLine()
    if status == STOPPED:
        return IngestLine(f"clip-ingest stopped after {last.stored:,}; run clip-ingest again to go on", status, newest)
    failed = f", {last.failed:,} failed" if last.failed else ""
    return IngestLine(f"clip-ingest finished: {last.stored:,} stored{failed}", status, newest)


def format_running(running: Sequence[IngestState], status: str) -> str:
    """
    >>> format_running([IngestState("db", "Image", None, 1, 0, 0, RUNNING, 12_340, 0, 50_000, True, 85)], RUNNING)
    'clip-ingest is running: 12,340 of 50,000 stored, 85 a second, some 7 minutes left'
    """
    stored, failed = sum(each.stored for each in running), sum(each.failed for each in running)
    seen, rate = sum(each.seen for each in running), sum(each.rate for each in running)
    failures = f", {failed:,} failed" if failed else ""
    if status == WATCHING:
        return f"clip-ingest watches for changes: {stored:,} stored{failures}"
    is_known = all(each.complete for each in running)
    total = f" of {seen:,}" if is_known else ""
    speed = f", {rate:,.0f} a second" if rate >= 1 else f", {rate * MINUTE:,.0f} a minute" if rate else ""
    left = f", {format_rest((seen - stored - failed) / rate)} left" if is_known and rate else ""
    several = f" in {len(running)} processes" if len(running) > 1 else ""
    return f"clip-ingest is running{several}: {stored:,}{total} stored{failures}{speed}{left}"


def format_rest(seconds: float) -> str:
    """
    >>> format_rest(20), format_rest(90), format_rest(5 * 3600)
    ('less than a minute', 'some 2 minutes', 'some 5 hours')
    """
    if seconds < MINUTE:
        return "less than a minute"
    minutes = round(seconds / MINUTE)
    if minutes < 120:
        return f"some {minutes} minute{'' if minutes == 1 else 's'}"
    return f"some {round(minutes / MINUTE)} hours"
