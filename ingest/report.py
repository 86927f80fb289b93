"""What an ingest did, in numbers that add up.

`--report`: a line of JSON for every image seen, and the way back from it to what failed.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, SourceItem, Status
from ingest.listing import ListingProgress
from ingest.near_duplicates import NearDuplicateGroup
from ingest.retry import RetryWait
from ingest.sources.base import SkippedFile

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
    failures: list[ItemOutcome] = field(default_factory=list)
    near_duplicates: Sequence[NearDuplicateGroup] = ()
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
        self.waiting = event.reason if isinstance(event, RetryWait) else ""
        match event:
            case ItemOutcome():
                self._count(event)
            case ListingProgress():
                self.seen += event.count
                self.complete = self.complete or event.complete
            case SkippedFile():
                self.skipped += 1

    def take_back(self, outcome: ItemOutcome, reason: str) -> ItemOutcome:
        """What was counted as uploaded turns out to be lost: it failed."""
        if outcome.fate is Status.ADDED:
            self.added -= 1
        else:
            self.updated -= 1
        self.duplicates -= bool(outcome.duplicate_of)
        failed = ItemOutcome(outcome.key, Status.FAILED, reason, outcome.source)
        self.take(failed)
        return failed

    def _count(self, outcome: ItemOutcome) -> None:
        self.duplicates += bool(outcome.duplicate_of)
        match outcome.fate:
            case Status.ADDED:
                self.added += 1
            case Status.UPDATED:
                self.updated += 1
            case Status.UNCHANGED:
                self.unchanged += 1
            case Status.FAILED:
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


class ReportFile:
    """A listener and a context. What was uploaded gets its line at the end, when it has been asked for again.

    A full disk must not stop an ingest: `problem` tells then that the report is not whole.
    """

    def __init__(self, file: Path, complain: Callable[[str], None]) -> None:
        """Raises InputError when the file cannot be made."""
        self._file, self._complain = file, complain
        self._uploaded: dict[str, ItemOutcome] = {}
        self.problem = ""
        try:
            # What is no UTF-8, in a path or an error's words, comes out as JSON writes it: \udce9
            self._out: IO[str] = file.open("w", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise InputError(f"--report {file} cannot be written ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for outcome in self._uploaded.values():
            self._write(outcome)
        self._safely(self._out.close)

    def __call__(self, report: IngestReport, event: object) -> None:
        if isinstance(event, ItemOutcome):
            if event.sha256:
                self._uploaded[event.key] = event
            else:
                self._uploaded.pop(event.key, None)
                self._write(event)

    def _write(self, outcome: ItemOutcome) -> None:
        if self.problem:
            return
        line = {"key": outcome.key, "status": outcome.fate, "reason": outcome.reason, "source": outcome.source}
        self._safely(lambda: self._out.write(json.dumps(line, ensure_ascii=False) + "\n"))

    def _safely(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            if not self.problem:
                self.problem = f"the report {self._file} is not whole ({error.strerror})"
                self._complain(f"{self.problem}; the images are not concerned")


@dataclass(frozen=True, slots=True)
class FailedItems:
    """What an earlier run's report says has failed."""

    keys: frozenset[str]
    sources: tuple[str, ...]  # in the order of the report
    whole: frozenset[str]  # sources of which something failed that has no key of its own: a row, the folder itself

    @classmethod
    def read(cls, file: Path) -> "FailedItems":
        """Raises InputError for what is no report, naming the line."""
        lines = [line for line in read_report_lines(file) if line["status"] == Status.FAILED]
        named = dict.fromkeys(line["source"] for line in lines if line["source"])
        parts = {line["source"] for line in lines if "#row=" in line["key"] or line["key"].split("/")[-1] == "."}
        return cls(frozenset(line["key"] for line in lines), tuple(named), frozenset(parts))

    def has(self, found: SourceItem | ItemOutcome) -> bool:
        return found.source in self.whole or any(key in self.keys for key in list_enclosing_keys(found.key))


def list_enclosing_keys(key: str) -> Iterator[str]:
    """The key, and those of all that it is a part of: folders, archives, documents."""
    yield key
    for border in re.finditer("/|::|#", key):
        yield key[: border.start()]
        yield key[: border.end()]


def read_report_lines(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--retry-failed {file} cannot be read ({error})") from error
    return [parse_report_line(file, number, line) for number, line in enumerate(text.split("\n"), 1) if line]


def parse_report_line(file: Path, number: int, line: str) -> dict[str, Any]:
    try:
        values = json.loads(line)
        return {name: str(values[name]) for name in ("key", "status", "source")}
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{file} line {number} is no line of a report written by --report") from error
