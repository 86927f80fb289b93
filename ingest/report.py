"""What an ingest did, in numbers that add up."""

import time
from dataclasses import dataclass, field
from typing import Any

from ingest.items import Fate, Outcome

SOME_FAILED = 3  # exit code


@dataclass(slots=True)
class IngestReport:
    """seen = added + updated + unchanged + failed once the run is over; `done` of them so far.

    `skipped` files are neither images nor captions by their extension, and are not seen.
    """

    seen: int
    skipped: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failures: list[Outcome] = field(default_factory=list)
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

    def count(self, outcome: Outcome) -> None:
        self.seconds = time.monotonic() - self.started
        match outcome.fate:
            case Fate.ADDED:
                self.added += 1
            case Fate.UPDATED:
                self.updated += 1
            case Fate.UNCHANGED:
                self.unchanged += 1
            case Fate.FAILED:
                self.failures.append(outcome)

    def take_back(self, outcome: Outcome, reason: str) -> None:
        """What was counted as uploaded turns out to be lost: it failed."""
        if outcome.fate is Fate.ADDED:
            self.added -= 1
        else:
            self.updated -= 1
        self.count(Outcome(outcome.key, Fate.FAILED, reason))

    def as_json(self) -> dict[str, Any]:
        return {
            "seen": self.seen,
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 3),
            "failures": [{"path": failure.key, "reason": failure.reason} for failure in self.failures],
        }

    def summary(self) -> str:
        images = "1 image" if self.seen == 1 else f"{self.seen} images"
        others = "1 other file" if self.skipped == 1 else f"{self.skipped} other files"
        skipped = f"; {others} skipped" if self.skipped else ""
        return (
            f"{images}: {self.added} added, {self.updated} updated, {self.unchanged} unchanged, "
            f"{self.failed} failed, in {self.seconds:.1f} s{skipped}"
        )
