"""What an ingest did, in numbers that add up."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ingest.items import Fate, Outcome
from ingest.listing import Listed
from ingest.near_duplicates import Alike
from ingest.patience import Waiting
from ingest.sources.base import Skipped

SOME_FAILED = 3  # exit code


@dataclass(slots=True)
class IngestReport:
    """seen = added + updated + unchanged + failed once the run is over; `done` of them so far.

    `skipped` files are neither images nor captions by their extension, and are not seen.
    """

    seen: int = 0
    complete: bool = False  # whether everything there is has been seen
    skipped: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates: int = 0  # of those added or updated: equal to another image
    pruned: int = 0
    failures: list[Outcome] = field(default_factory=list)
    near_duplicates: Sequence[Alike] = ()
    waiting: str = ""  # for whom, at this moment
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def failed(self) -> int:
        return len(self.failures)

    @property
    def done(self) -> int:
        return self.added + self.updated + self.unchanged + self.failed

    @property
    def exit_code(self) -> int:
        return SOME_FAILED if self.failures else 0

    def take(self, event: object) -> None:
        """Counts what the stages tell."""
        self.seconds = time.monotonic() - self.started
        self.waiting = event.reason if isinstance(event, Waiting) else ""
        match event:
            case Outcome():
                self._count(event)
            case Listed():
                self.seen += event.count
                self.complete = self.complete or event.complete
            case Skipped():
                self.skipped += 1

    def take_back(self, outcome: Outcome, reason: str) -> Outcome:
        """What was counted as uploaded turns out to be lost: it failed."""
        if outcome.fate is Fate.ADDED:
            self.added -= 1
        else:
            self.updated -= 1
        self.duplicates -= bool(outcome.duplicate_of)
        failed = Outcome(outcome.key, Fate.FAILED, reason, outcome.source)
        self.take(failed)
        return failed

    def _count(self, outcome: Outcome) -> None:
        self.duplicates += bool(outcome.duplicate_of)
        match outcome.fate:
            case Fate.ADDED:
                self.added += 1
            case Fate.UPDATED:
                self.updated += 1
            case Fate.UNCHANGED:
                self.unchanged += 1
            case Fate.FAILED:
                self.failures.append(outcome)

    def as_json(self) -> dict[str, Any]:
        return {
            "seen": self.done,
            "unfinished": self.seen - self.done,  # of a run that was broken off: listed, but nobody knows
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "skipped": self.skipped,
            "duplicates": self.duplicates,
            "pruned": self.pruned,
            "seconds": round(self.seconds, 3),
            "failures": [{"path": failure.key, "reason": failure.reason} for failure in self.failures],
            "near_duplicates": [group.as_json() for group in self.near_duplicates],
        }

    def summary(self) -> str:
        images = "1 image" if self.seen == 1 else f"{self.seen} images"
        others = "1 other file" if self.skipped == 1 else f"{self.skipped} other files"
        extras = [
            f"; {self.duplicates} of them equal to another" if self.duplicates else "",
            f"; {self.pruned} vanished {'one' if self.pruned == 1 else 'ones'} removed" if self.pruned else "",
            f"; {others} skipped" if self.skipped else "",
        ]
        return (
            f"{images}: {self.added} added, {self.updated} updated, {self.unchanged} unchanged, "
            f"{self.failed} failed, in {self.seconds:.1f} s{''.join(extras)}"
        )
