import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from ingest.items import ItemOutcome, Status
from ingest.listing import ListingProgress
from ingest.progress import (
    LINE_SECONDS,
    RATE_SECONDS,
    LineDisplay,
    ProgressListener,
    RateMeter,
    escape_unprintable,
    open_bar,
    progress_on_stderr,
)
from ingest.report import IngestReport
from ingest.retry import RetryWait
from ingest.watch import RoundComplete
from tests.ingest.test_retry import FakeTime

BAD = ItemOutcome("a/[bold]bad:cat:\\.png", Status.FAILED, "not an image")
LONG = IngestReport(seen=1_234_567, complete=True, added=999_999, failures=[BAD] * 345, waiting="for Weaviate")


class Said:
    """A display that remembers."""

    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.shown: list[tuple[int, float]] = []

    def show(self, report: IngestReport, rate: float) -> None:
        self.shown.append((report.done, rate))

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)


def said(*events: object) -> list[str]:
    display, report = Said(), IngestReport()
    listener = ProgressListener(display)
    for event in events:
        report.take(event)
        listener(report, event)
    return display.sentences


def test_each_failure_is_named_once_and_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = IngestReport(seen=2)
    with progress_on_stderr() as listener:
        for event in (BAD, ItemOutcome("b.png", Status.ADDED)):
            report.take(event)
            listener(report, event)
    shown = capsys.readouterr()
    assert shown.err == "failed: a/[bold]bad:cat:\\.png: not an image\n" and shown.out == ""


def test_a_run_that_breaks_off_says_how_far_it_came(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress_on_stderr() as listener:
        listener(IngestReport(seen=7, complete=True, added=3), ListingProgress(1))
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "stopped after 3 of 7 images; the same command goes on from there\n"


def test_a_run_that_breaks_off_before_all_is_listed_does_not_claim_to_know_how_many_there_are() -> None:
    display = Said()
    listener = ProgressListener(display)
    listener(IngestReport(seen=7, added=7), ListingProgress(1))
    listener.broken_off()
    assert display.sentences == ["stopped after 7 of 7 or more images; the same command goes on from there"]


def test_a_run_that_was_through_is_not_called_stopped() -> None:
    display = Said()
    listener = ProgressListener(display)
    listener.broken_off()
    listener(IngestReport(seen=7, complete=True, added=7), ListingProgress(0, complete=True))
    listener.broken_off()
    assert not display.sentences


def test_a_reason_to_wait_is_told_once_until_something_happens() -> None:
    away, busy, done = RetryWait("nobody there"), RetryWait("busy"), ItemOutcome("a", Status.ADDED)
    assert said(away, away, ListingProgress(1), away, busy, done, busy) == [
        "waiting: nobody there",
        "waiting: busy",
        "waiting: busy",
    ]


def test_who_watches_is_told_how_to_end_it() -> None:
    [sentence] = said(RoundComplete())
    assert sentence.endswith("; watching for changes, Ctrl-C ends it")


def test_who_watches_is_told_what_has_changed_and_not_that_nothing_has() -> None:
    display = Said()
    listener = ProgressListener(display)
    for added in (7, 7, 8):
        listener(IngestReport(seen=added, complete=True, added=added), RoundComplete())
    assert [sentence.split(" added")[0] for sentence in display.sentences] == ["7 images: 7", "8 images: 8"]


def test_what_a_terminal_takes_for_a_command_is_shown_as_text() -> None:
    assert said(ItemOutcome("a\x1b[2J\n\x85\u202e.png", Status.FAILED, "x\ty")) == [
        "failed: a\\x1b[2J\\n\\x85\\u202e.png: x\\ty"
    ]
    assert escape_unprintable("カフェ é 🐱 a b") == "カフェ é 🐱 a b"


def on_a_terminal(report: IngestReport, width: int = 80) -> str:
    out = io.StringIO()
    with open_bar(Console(file=out, force_terminal=True, width=width, color_system=None)) as display:
        display.show(report, 123.4)
        display.say(f"failed: {BAD.key}: {BAD.reason}")
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_a_terminal_gets_a_bar_and_the_failures_as_they_are() -> None:
    shown = on_a_terminal(IngestReport(seen=2, failures=[BAD]))
    assert "1 of 2 or more, 123/s, 1 failed" in shown and "failed: a/[bold]bad:cat:\\.png: not an image" in shown


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_run_stays_on_one_line_of_a_terminal(width: int) -> None:
    shown = on_a_terminal(LONG, width)
    assert "1000344 of 1234567, 123/s, 345 failed, waiting" in shown
    assert all(len(line) <= width for line in re.split(r"[\r\n]", shown))


def test_a_long_sentence_is_not_broken_by_the_width_of_a_terminal() -> None:
    out = io.StringIO()
    with open_bar(Console(file=out, force_terminal=True, width=40, color_system=None)) as display:
        display.say("word " * 30)
    assert "word " * 29 in out.getvalue()


def test_elsewhere_a_line_now_and_then_says_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    time = FakeTime()
    display = LineDisplay(lambda: time.now)
    display.show(LONG, 100.0)
    assert not capsys.readouterr().err
    time.sleep(LINE_SECONDS)
    display.show(LONG, 100.0)
    display.show(LONG, 100.0)
    assert capsys.readouterr().err == "1000344 of 1234567, 100/s, 345 failed, waiting, about 2342 s left\n"


def test_what_is_left_is_not_guessed_before_all_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    now = iter([0.0, LINE_SECONDS, LINE_SECONDS])
    LineDisplay(lambda: next(now)).show(replace(LONG, complete=False, waiting="", failures=[]), 100.0)
    assert capsys.readouterr().err == "999999 of 1234567 or more, 100/s\n"


def test_the_rate_is_that_of_the_last_moments() -> None:
    rate = RateMeter()
    assert rate.at(0.0, 0) == 0.0
    assert rate.at(1.0, 100) == 100.0
    assert rate.at(2.0, 300) == 150.0
    assert rate.at(2.0 + RATE_SECONDS, 300) == 0.0
    assert rate.at(1000.0, 300) == 0.0
