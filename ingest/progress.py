"""How far an ingest is, on stderr: a bar on a terminal, a line now and then elsewhere. Failures at once, by name."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ingest.report import IngestReport

LINE_SECONDS = 5.0


class Display(Protocol):
    def show(self, report: IngestReport) -> None: ...

    def say(self, sentence: str) -> None: ...


@contextmanager
def progress_on_stderr() -> Iterator["Listener"]:
    """A listener for `ingest`. An ingest that is broken off leaves a line that says how far it came."""
    console = Console(stderr=True)
    with bar(console) if console.is_terminal else lines() as display:
        listener = Listener(display)
        try:
            yield listener
        except BaseException:
            listener.broken_off()
            raise


class Listener:
    def __init__(self, display: Display) -> None:
        self._display = display
        self._named = 0  # failures told so far
        self._report: IngestReport | None = None

    def __call__(self, report: IngestReport) -> None:
        self._report = report
        for failure in report.failures[self._named :]:
            self._display.say(f"failed: {failure.key}: {failure.reason}")
        self._named = report.failed
        self._display.show(report)

    def broken_off(self) -> None:
        if self._report and self._report.done < self._report.seen:
            self._display.say(
                f"stopped after {self._report.done} of {self._report.seen} images; the same command goes on from there"
            )


@contextmanager
def bar(console: Console) -> Iterator[Display]:
    columns = (TextColumn("ingest"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress)


class Bar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("ingest", total=None)

    def show(self, report: IngestReport) -> None:
        self._progress.update(self._task, completed=report.done, total=report.seen)

    def say(self, sentence: str) -> None:
        self._progress.console.print(escape(sentence), soft_wrap=True, highlight=False)


@contextmanager
def lines() -> Iterator[Display]:
    yield Lines()


class Lines:
    def __init__(self) -> None:
        self._last = time.monotonic()

    def show(self, report: IngestReport) -> None:
        if time.monotonic() - self._last >= LINE_SECONDS:
            self._last = time.monotonic()
            self.say(f"{report.done} of {report.seen} images")

    def say(self, sentence: str) -> None:
        click.echo(sentence, err=True)
