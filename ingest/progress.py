"""How far an ingest is, on stderr: a bar on a terminal, a line now and then elsewhere. Failures at once, by name."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from clip_vectorizer.errors import VectorizerError
from ingest.items import ItemOutcome, Status
from ingest.report import IngestReport
from ingest.retry import RetryWait
from ingest.watch import RoundComplete

LINE_SECONDS = 5.0
SHOW_SECONDS = 0.1
RATE_SECONDS = 10.0  # the rate is that of the last so many


class ProgressDisplay(Protocol):
    def show(self, report: IngestReport, rate: float) -> None: ...

    def say(self, sentence: str) -> None: ...


@contextmanager
def progress_on_stderr() -> Iterator["ProgressListener"]:
    """A listener for `ingest`. An ingest that is broken off leaves a line that says how far it came."""
    console = Console(stderr=True)
    with open_bar(console) if console.is_terminal else open_lines() as display:
        listener = ProgressListener(display)
        try:
            yield listener
        except BaseException:
            listener.broken_off()
            raise


class ProgressListener:
    def __init__(self, display: ProgressDisplay) -> None:
        self._display = display
        self._report: IngestReport | None = None
        self._rate = RateMeter()
        self._shown = 0.0
        self._waiting = ""
        self._watched: tuple[int, int] | None = None

    def __call__(self, report: IngestReport, event: object) -> None:
        self._report = report
        if isinstance(event, ItemOutcome) and event.fate is Status.FAILED:
            self._display.say(escape_unprintable(f"failed: {event.key.removesuffix('::')}: {event.reason}"))
        if isinstance(event, VectorizerError):
            self._display.say(escape_unprintable(f"warning: {event}"))
        if isinstance(event, RoundComplete):
            self._watching(report)
        if isinstance(event, RetryWait) and event.reason != self._waiting:
            self._display.say(escape_unprintable(f"waiting: {event.reason}"))
        if isinstance(event, RetryWait | ItemOutcome):
            self._waiting = event.reason if isinstance(event, RetryWait) else ""
        now = time.monotonic()
        if now - self._shown >= SHOW_SECONDS:  # a hundred thousand images must not be drawn one by one
            self._shown = now
            self._display.show(report, self._rate.at(now, report.done))

    def _watching(self, report: IngestReport) -> None:
        """What a round has changed; one that found nothing new is passed over in silence."""
        now = report.done, report.pruned
        if now != self._watched:
            self._display.say(f"{report.summary()}; watching for changes, Ctrl-C ends it")
        self._watched = now

    def broken_off(self) -> None:
        report = self._report
        if report and (report.done < report.seen or not report.complete):
            self._display.say(
                f"stopped after {report.done} of {format_total(report)} images; the same command goes on from there"
            )


class RateMeter:
    """Images a second over the last moments: a run that waits, or has come to large files, shows it at once."""

    def __init__(self) -> None:
        self._marks: list[tuple[float, int]] = []

    def at(self, now: float, done: int) -> float:
        self._marks = [mark for mark in self._marks if now - mark[0] <= RATE_SECONDS] or self._marks[-1:]
        self._marks.append((now, done))
        (then, before), seconds = self._marks[0], now - self._marks[0][0]
        return (done - before) / seconds if seconds > 0 and then < now else 0.0


def format_total(report: IngestReport) -> str:
    return f"{report.seen}" if report.complete else f"{report.seen} or more"


def escape_unprintable(sentence: str) -> str:
    """A file's name may hold anything, also what a terminal takes for a command."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in sentence)


@contextmanager
def open_bar(console: Console) -> Iterator[ProgressDisplay]:
    columns = (TextColumn("ingest"), BarColumn(), TextColumn("{task.fields[words]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield BarDisplay(progress)


class BarDisplay:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("ingest", total=None, words="")

    def show(self, report: IngestReport, rate: float) -> None:
        self._progress.update(
            self._task,
            completed=report.done,
            total=report.seen if report.complete else None,
            words=format_progress(report, rate),
        )

    def say(self, sentence: str) -> None:
        self._progress.console.print(sentence, markup=False, emoji=False, soft_wrap=True, highlight=False)


def format_progress(report: IngestReport, rate: float) -> str:
    failed = f", {report.failed} failed" if report.failed else ""
    return f"{report.done} of {format_total(report)}, {rate:.0f}/s{failed}{', waiting' if report.waiting else ''}"


@contextmanager
def open_lines() -> Iterator[ProgressDisplay]:
    yield LineDisplay()


class LineDisplay:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def show(self, report: IngestReport, rate: float) -> None:
        if self._clock() - self._last >= LINE_SECONDS:
            self._last = self._clock()
            left = (report.seen - report.done) / rate if report.complete and rate else 0.0
            self.say(f"{format_progress(report, rate)}{f', about {left:.0f} s left' if left else ''}")

    def say(self, sentence: str) -> None:
        click.echo(sentence, err=True)
