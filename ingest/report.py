"""The report of an ingest: its counts, a file with a line of JSON for every image, and reading the failures from it."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from clip_vectorizer.counts import format_count
from clip_vectorizer.errors import InputError
from clip_vectorizer.exit_codes import SOME_FAILED
from ingest.items import ItemOutcome, SourceItem, Status
from ingest.listing import ListingProgress
from ingest.near_duplicates import NearDuplicateGroup
from ingest.retry import RetryWait
from ingest.sources.base import SkippedFile


@dataclass(slots=True)
class IngestReport:
    """Counts: seen = added + updated + unchanged + failed at the end of a run; `done` of them so far.

    `skipped` files are neither images nor captions by their extension; `seen` does not include them. `dropped` of them
    are captions and metadata in an archive that no image uses.
    """

    seen: int = 0
    complete: bool = False  # whether the listing has ended
    skipped: int = 0
    dropped: int = 0
    first_dropped: str = ""  # its name
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    damaged: int = 0  # of those added or updated: part of the file is missing
    ignored_profiles: int = 0  # of those added or updated: colours as stored
    duplicates: int = 0  # of those added or updated: equal to another image
    pruned: int = 0
    regions: int = 0  # stored
    region_images: int = 0  # whose regions were stored
    region_remarks: int = 0  # of those, images with boxes that could not be used
    first_region_remark: str = ""
    unused_boxes: int = 0  # in a file of boxes, of images that are not in the source
    failures: list[ItemOutcome] = field(default_factory=list)
    near_duplicates: Sequence[NearDuplicateGroup] = ()
    waiting: str = ""  # why the run is waiting at the moment
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
        """Count an event of the stages."""
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
                self.dropped += bool(event.reason)
                self.first_dropped = self.first_dropped or (event.key if event.reason else "")

    def take_back(self, outcome: ItemOutcome, reason: str) -> ItemOutcome:
        """Turn an upload that was counted and then lost into a failure, and return that."""
        if outcome.status is Status.ADDED:
            self.added -= 1
        else:
            self.updated -= 1
        self.duplicates -= bool(outcome.duplicate_of)
        self.damaged -= bool(outcome.damage)
        self.ignored_profiles -= bool(outcome.ignored_profile)
        self.regions -= outcome.regions
        self.region_images -= bool(outcome.regions)
        self.region_remarks -= bool(outcome.region_remark)
        failed = ItemOutcome(outcome.key, Status.FAILED, reason, outcome.source)
        self.take(failed)
        return failed

    def _count(self, outcome: ItemOutcome) -> None:
        self.duplicates += bool(outcome.duplicate_of)
        self.damaged += bool(outcome.damage)
        self.ignored_profiles += bool(outcome.ignored_profile)
        self._count_regions(outcome)
        match outcome.status:
            case Status.ADDED:
                self.added += 1
            case Status.UPDATED:
                self.updated += 1
            case Status.UNCHANGED:
                self.unchanged += 1
            case Status.FAILED:
                self.failures.append(outcome)

    def _count_regions(self, outcome: ItemOutcome) -> None:
        self.regions += outcome.regions
        self.region_images += bool(outcome.regions)
        if outcome.region_remark:
            self.region_remarks += 1
            self.first_region_remark = self.first_region_remark or f"{outcome.key}: {outcome.region_remark}"

    def as_json(self) -> dict[str, Any]:
        """Return the report as values for JSON."""
        return {
            "seen": self.done,
            "unfinished": self.seen - self.done,  # of an interrupted run: listed, with no result
            "added": self.added,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "failed": self.failed,
            "skipped": self.skipped,
            "dropped": self.dropped,
            "duplicates": self.duplicates,
            "damaged": self.damaged,
            "ignored_profiles": self.ignored_profiles,
            "pruned": self.pruned,
            "regions": self.regions,
            "region_images": self.region_images,
            "region_remarks": self.region_remarks,
            "unused_boxes": self.unused_boxes,
            "seconds": round(self.seconds, 3),
            "failures": [{"path": failure.key, "reason": failure.reason} for failure in self.failures],
            "near_duplicates": [group.as_json() for group in self.near_duplicates],
        }

    def summary(self) -> str:
        """Return the counts in one sentence.

        >>> IngestReport(seen=3, added=2, failures=[ItemOutcome("a.png", Status.FAILED)]).summary()
        '3 images: 2 added, 0 updated, 0 unchanged, 1 failed, in 0.0 s'
        """
        images = format_count(self.seen, "image")
        others = "1 other file" if self.skipped == 1 else f"{self.skipped} other files"
        dropped = (
            f", {self.dropped} of them text that no image uses ({self.first_dropped}{', ...' * (self.dropped > 1)})"
            if self.dropped
            else ""
        )
        extras = [
            f"; {self.duplicates} of them equal to another" if self.duplicates else "",
            f"; {self.damaged} of them damaged" if self.damaged else "",
            f"; {self.ignored_profiles} with a colour profile that cannot be used" if self.ignored_profiles else "",
            f"; {format_count(self.regions, 'region')} of {format_count(self.region_images, 'image')} stored"
            if self.regions
            else "",
            f"; boxes of {format_count(self.region_remarks, 'image')} left out or clipped ({self.first_region_remark})"
            if self.region_remarks
            else "",
            f"; {self.pruned} vanished {'one' if self.pruned == 1 else 'ones'} removed" if self.pruned else "",
            f"; {others} skipped{dropped}" if self.skipped else "",
        ]
        return (
            f"{images}: {self.added} added, {self.updated} updated, {self.unchanged} unchanged, "
            f"{self.failed} failed, in {self.seconds:.1f} s{''.join(extras)}"
        )


class ReportFile:
    """`--report`: a listener and context manager that writes a line for every image.

    Uploads are written on exit, after their verification. A full disk does not stop the ingest: `problem` then gives
    the reason.
    """

    def __init__(self, file: Path, complain: Callable[[str], None]) -> None:
        """`complain` is called with the first problem. Raises InputError if the file cannot be created."""
        self._file, self._complain = file, complain
        self._uploaded: dict[str, ItemOutcome] = {}
        self.problem = ""
        try:
            # Bytes that are not UTF-8, in a path or an error, are written as JSON escapes: \udce9
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
        elif isinstance(event, SkippedFile) and event.reason:
            self._write_line(event.key, "skipped", event.reason, event.source)

    def _write(self, outcome: ItemOutcome) -> None:
        remarks = {
            "damaged": outcome.damage,
            "ignored_profile": outcome.ignored_profile,
            "regions": outcome.region_remark,
        }
        self._write_line(outcome.key, outcome.status, outcome.reason, outcome.source, remarks)

    def _write_line(self, key: str, status: str, reason: str, source: str, remarks: Mapping[str, str] = {}) -> None:
        if self.problem:
            return
        line = {"key": key, "status": status, "reason": reason, "source": source}
        line |= {name: remark for name, remark in remarks.items() if remark}
        self._safely(lambda: self._out.write(json.dumps(line, ensure_ascii=False) + "\n"))

    def _safely(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            if not self.problem:
                self.problem = f"the report {self._file} is incomplete ({error.strerror})"
                self._complain(f"{self.problem}; the ingest is not affected")


@dataclass(frozen=True, slots=True)
class FailedItems:
    """The failures in the report of an earlier run, for `--retry-failed`."""

    keys: frozenset[str]
    sources: tuple[str, ...]  # in the order of the report
    whole: frozenset[str]  # sources with a failure that has no image's key: a table's row, the folder itself

    @classmethod
    def read(cls, file: Path) -> "FailedItems":
        """Read a report. Raises InputError, with the line number, if the file is not one."""
        lines = [line for line in read_report_lines(file) if line["status"] == Status.FAILED]
        named = dict.fromkeys(line["source"] for line in lines if line["source"])
        parts = {line["source"] for line in lines if "#row=" in line["key"] or line["key"].split("/")[-1] == "."}
        return cls(frozenset(line["key"] for line in lines), tuple(named), frozenset(parts))

    def has(self, found: SourceItem | ItemOutcome) -> bool:
        return found.source in self.whole or any(key in self.keys for key in list_enclosing_keys(found.key))


def list_enclosing_keys(key: str) -> Iterator[str]:
    """Yield the key, and the keys of all that contains it: folders, archives, documents.

    >>> list(list_enclosing_keys("a.zip::b.png"))
    ['a.zip::b.png', 'a.zip', 'a.zip::']
    """
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
        raise InputError(f"{file} line {number} is not a line of a report written by --report") from error
