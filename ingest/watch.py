"""`--watch`: the same ingest again whenever something changes, for what has changed.

What the system tells of changes is only a reason to look: the listing is the truth, so that no event can be missed.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import watchfiles

from ingest.items import ItemOutcome, SourceItem
from ingest.sources.base import SETTLED_SECONDS, Source

MAX_POLL_SECONDS = 60.0  # at the latest; for places that tell of no change: a network drive, an address
MAX_DEFERRALS = 5  # looks; after them an image without a stamp is one whose source never gives any


class RoundComplete:
    """What a listener hears when all that there was is in."""


@dataclass(slots=True)
class ChangeFilter:
    """Chooses what a round has to do with: what is new or has another stamp than in the round before."""

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
        known, self._stamps[found.key] = self._stamps.get(found.key), stamp
        return known is None or known != stamp


def iterate_rounds(
    sources: Sequence[Source], changed: ChangeFilter, sleep: Callable[[float], None] = time.sleep
) -> Iterator[None]:
    """Yields when it is time to look again: at once, after a change, when a file has been written to its end."""
    changed.begin()
    yield
    for happened in watch_changes(sources, sleep):
        if happened or changed.waiting:
            changed.begin()
            yield


def watch_changes(sources: Sequence[Source], sleep: Callable[[float], None]) -> Iterator[bool]:
    """Whether something may have changed, every SETTLED_SECONDS or as soon as it does."""
    paths = [Path(source.name) for source in sources if "://" not in source.name]
    folders = {path if path.is_dir() else path.parent for path in paths if path.exists()}
    looked = time.monotonic()
    for events in watch_folders([folder.resolve() for folder in folders], sleep):
        due = time.monotonic() - looked > MAX_POLL_SECONDS
        if events or due:
            looked = time.monotonic()
        yield events or due


def watch_folders(folders: Sequence[Path], sleep: Callable[[float], None]) -> Iterator[bool]:
    if not folders:
        while True:
            sleep(SETTLED_SECONDS)
            yield False
    pause = int(1000 * SETTLED_SECONDS)
    yield from map(bool, watchfiles.watch(*folders, rust_timeout=pause, yield_on_timeout=True, raise_interrupt=True))
