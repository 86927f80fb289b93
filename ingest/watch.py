"""`--watch`: repeat the ingest for what has changed, whenever something changes.

A change event of the system only starts a new listing, so a missed event loses nothing.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from ingest.items import ItemOutcome, SourceItem
from ingest.sources.base import SETTLED_SECONDS, Source

MAX_POLL_SECONDS = 60.0  # for sources without change events: a network drive, a URL
MAX_DEFERRALS = 5  # listings; after them the source of an image without a stamp is assumed to provide none


class RoundComplete:
    """Event: the round is complete."""


@dataclass(slots=True)
class ChangeFilter:
    """Selects what a round processes: items that are new or have another stamp than in the round before."""

    _stamps: dict[str, str] = field(default_factory=dict)
    _unsettled: Counter[str] = field(default_factory=Counter)
    waiting: bool = False  # for files that are still being written

    def begin(self) -> None:
        self.waiting = False

    def has(self, found: SourceItem | ItemOutcome) -> bool:
        stamp = found.stamp if isinstance(found, SourceItem) else found.reason
        if not stamp and self._unsettled[found.key] < MAX_DEFERRALS:
            self._unsettled[found.key] += 1
            self.waiting = True
            return False
        if stamp:
            del self._unsettled[found.key]
        before, self._stamps[found.key] = self._stamps.get(found.key), stamp
        return before is None or before != stamp


def iterate_rounds(
    sources: Sequence[Source], changed: ChangeFilter, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Yield when a round is due: at once, after a change, and when a file has been written completely."""
    changed.begin()
    yield
    for happened in watch_changes(sources, sleep):
        if happened or changed.waiting:
            changed.begin()
            yield


def watch_changes(sources: Sequence[Source], sleep: Callable[[float], None]) -> Iterator[bool]:
    """Yield whether something may have changed, every SETTLED_SECONDS or as soon as it does.

    The first is a change where folders are watched: files that came while the first round ran raised no event.
    """
    paths = [Path(source.name) for source in sources if "://" not in source.name]
    folders = {path if path.is_dir() else path.parent for path in paths if path.exists()}
    looked = -math.inf if folders else time.monotonic()
    for events in watch_folders([folder.resolve() for folder in folders], sleep):
        due = time.monotonic() - looked > MAX_POLL_SECONDS
        if events or due:
            looked = time.monotonic()
        yield events or due


def watch_folders(folders: Sequence[Path], sleep: Callable[[float], None]) -> Iterator[bool]:
    """Yield whether the system reports changes in the folders, at least every SETTLED_SECONDS."""
    if not folders:
        while True:
            sleep(SETTLED_SECONDS)
            yield False
    pause = int(1000 * SETTLED_SECONDS)
    yield from map(bool, watchfiles.watch(*folders, rust_timeout=pause, yield_on_timeout=True, raise_interrupt=True))
