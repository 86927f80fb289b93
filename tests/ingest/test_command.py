from dataclasses import replace
from typing import Self

import pytest

from clip_vectorizer.terminal import escape_line
from ingest.command import (
    RATE_SECONDS,
    ProgressListener,
    RateMeter,
    format_progress,
    progress_on_stderr,
)
from ingest.items import ItemOutcome, Status
from ingest.listing import ListingProgress
from ingest.report import IngestReport
from ingest.retry import RetryWait
from ingest.watch import RoundComplete

BAD = ItemOutcome("a/[bold]bad:cat:\\.png", Status.FAILED, "not an image")
LONG = IngestReport(seen=1_234_567, complete=True, added=999_999, failures=[BAD] * 345, waiting="for Weaviate")


class RecordingDisplay:
    """Obeys StatusDisplay."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.shown: list[tuple[int | None, int | None]] = []

    def start(self, status: str) -> None: ...

    def show(self, status: str, done: int | None = None, total: int | None = None, rate: float = 0.0) -> None:
        self.shown.append((done, total))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)

    def finish(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


def notes_of(*events: object) -> list[str]:
    display, report = RecordingDisplay(), IngestReport()
    listener = ProgressListener(display)
    for event in events:
        report.take(event)
        listener(report, event)
    return display.notes


def test_each_failure_is_named_once_and_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = IngestReport(seen=2)
    with progress_on_stderr() as listener:
        for event in (BAD, ItemOutcome("b.png", Status.ADDED)):
            report.take(event)
            listener(report, event)
    shown = capsys.readouterr()
    assert shown.err == "failed: a/[bold]bad:cat:\\.png: not an image\n" and shown.out == ""


def test_an_interrupted_run_prints_how_many_are_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress_on_stderr() as listener:
        listener(IngestReport(seen=7, complete=True, added=3), ListingProgress(1))
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "stopped after 3 of 7 images; the same command resumes there\n"


def test_a_run_interrupted_before_all_is_listed_claims_no_total() -> None:
    display = RecordingDisplay()
    listener = ProgressListener(display)
    listener(IngestReport(seen=7, added=7), ListingProgress(1))
    listener.report_interruption()
    assert display.notes == ["stopped after 7 of 7 or more images; the same command resumes there"]


def test_a_complete_run_is_not_called_stopped() -> None:
    display = RecordingDisplay()
    listener = ProgressListener(display)
    listener.report_interruption()
    listener(IngestReport(seen=7, complete=True, added=7), ListingProgress(0, complete=True))
    listener.report_interruption()
    assert not display.notes


def test_a_reason_to_wait_is_printed_once_until_something_happens() -> None:
    away, busy, done = RetryWait("connection refused"), RetryWait("busy"), ItemOutcome("a", Status.ADDED)
    assert notes_of(away, away, ListingProgress(1), away, busy, done, busy) == [
        "waiting: connection refused",
        "waiting: busy",
        "waiting: busy",
    ]


def test_watching_prints_how_to_stop() -> None:
    [sentence] = notes_of(RoundComplete())
    assert sentence.endswith("; watching for changes, Ctrl-C stops")


def test_watching_prints_changes_and_no_empty_rounds() -> None:
    display = RecordingDisplay()
    listener = ProgressListener(display)
    for added in (7, 7, 8):
        listener(IngestReport(seen=added, complete=True, added=added), RoundComplete())
    assert [sentence.split(" added")[0] for sentence in display.notes] == ["7 images: 7", "8 images: 8"]


def test_control_characters_are_shown_as_text() -> None:
    assert notes_of(ItemOutcome("a\x1b[2J\n\x85\u202e.png", Status.FAILED, "x\ty")) == [
        "failed: a\\x1b[2J\\n\\x85\\u202e.png: x\\ty"
    ]
    assert escape_line("カフェ é 🐱 a b") == "カフェ é 🐱 a b"


def test_the_status_has_the_counts_and_whether_it_waits() -> None:
    assert format_progress(LONG, 123.4) == "1000344 of 1234567, 123/s, 345 failed, waiting"
    partial = replace(LONG, complete=False, waiting="", failures=[])
    assert format_progress(partial, 100.0) == "999999 of 1234567 or more, 100/s"


def test_the_display_gets_a_total_only_when_all_is_listed() -> None:
    display = RecordingDisplay()
    ProgressListener(display)(IngestReport(seen=7, added=3), None)
    ProgressListener(display)(IngestReport(seen=7, added=3, complete=True), None)
    assert display.shown == [(3, None), (3, 7)]


def test_the_rate_is_that_of_the_last_moments() -> None:
    rate = RateMeter()
    assert rate.at(0.0, 0) == 0.0
    assert rate.at(1.0, 100) == 100.0
    assert rate.at(2.0, 300) == 150.0
    assert rate.at(2.0 + RATE_SECONDS, 300) == 0.0
    assert rate.at(1000.0, 300) == 0.0
