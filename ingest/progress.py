"""Progress of an ingest on stderr: a bar on a terminal, a line now and then elsewhere; failures at once, by name."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.progress import StatusDisplay, open_display
from clip_vectorizer.terminal import escape_line
from ingest.items import ItemOutcome, Status
from ingest.report import IngestReport
from ingest.retry import RetryWait
from ingest.watch import RoundComplete

LOG_SECONDS = 5.0
SHOW_SECONDS = 0.1
RATE_SECONDS = 10.0  # the rate is measured over the last so many seconds


@contextmanager
def progress_on_stderr() -> Iterator["ProgressListener"]:
    """A listener for `ingest`. If the ingest is interrupted, stderr gets a line with the number of images done."""
    with open_display(LOG_SECONDS, bar=True) as display:
        listener = ProgressListener(display)
        try:
            yield listener
        except BaseException:
            listener.report_interruption()
            raise


class ProgressListener:
    def __init__(self, display: StatusDisplay) -> None:
        self._display = display
        self._report: IngestReport | None = None
        self._rate = RateMeter()
        self._shown = 0.0
        self._waiting = ""
        self._watched: tuple[int, int] | None = None

    def __call__(self, report: IngestReport, event: object) -> None:
        self._report = report
        if isinstance(event, ItemOutcome) and event.status is Status.FAILED:
            self._note(f"failed: {event.key.removesuffix('::')}: {event.reason}")
        if isinstance(event, VectorizerError):
            self._note(f"warning: {event}")
        if isinstance(event, RoundComplete):
            self._note_round(report)
        if isinstance(event, RetryWait) and event.reason != self._waiting:
            self._note(f"waiting: {event.reason}")
        if isinstance(event, RetryWait | ItemOutcome):
            self._waiting = event.reason if isinstance(event, RetryWait) else ""
        now = time.monotonic()
        if now - self._shown >= SHOW_SECONDS:  # a hundred thousand images must not be drawn one by one
            self._shown = now
            rate = self._rate.at(now, report.done)
            total = report.seen if report.complete else None
            self._display.show(format_progress(report, rate), report.done, total, rate)

    def report_interruption(self) -> None:
        report = self._report
        if report and (report.done < report.seen or not report.complete):
            self._note(f"stopped after {report.done} of {format_total(report)} images; the same command resumes there")

    def _note(self, sentence: str) -> None:
        self._display.note(escape_line(sentence))

    def _note_round(self, report: IngestReport) -> None:
        """What a round of --watch has changed; a round without changes prints nothing."""
        now = report.done, report.pruned
        if now != self._watched:
            self._note(f"{report.summary()}; watching for changes, Ctrl-C stops")
        self._watched = now


class RateMeter:
    """Images a second over the last moments: a run that waits, or reached large files, shows it at once."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def at(self, now: float, done: int) -> float:
        self._marks = [mark for mark in self._marks if now - mark[0] <= RATE_SECONDS] or self._marks[-1:]
        self._marks.append((now, done))
        (then, before), seconds = self._marks[0], now - self._marks[0][0]
        return (done - before) / seconds if seconds > 0 and then < now else 0.0


def format_progress(report: IngestReport, rate: float) -> str:
    failed = f", {report.failed} failed" if report.failed else ""
    return f"{report.done} of {format_total(report)}, {rate:.0f}/s{failed}{', waiting' if report.waiting else ''}"


def format_total(report: IngestReport) -> str:
    return f"{report.seen}" if report.complete else f"{report.seen} or more"
