"""Progress of long commands on stderr: a line that is rewritten on a terminal, a line now and then elsewhere.

StatusDisplay   a status line, and notes that stay: `TerminalDisplay` or `LogDisplay`
StepDisplay     a sequence of named steps on such a display; code that reports steps takes any `StepProgress`
count_items     counts what passes through an iterator
"""

import sys
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack
from typing import Protocol, Self, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

FIRST_SECONDS = 2.0  # a shorter run shows no count
COUNT_SECONDS = 1.0
COUNT_LOG_SECONDS = 10.0
STEP_LOG_SECONDS = 15.0
MIN_STEP_SECONDS = 2.0  # a shorter step does not log its duration

ItemT = TypeVar("ItemT")


class StatusDisplay(Protocol):
    """A context manager."""

    def start(self, status: str) -> None:
        """Begin an activity: its time counts from now."""

    def show(self, status: str, done: int | None = None, total: int | None = None, rate: float = 0.0) -> None:
        """Replace the status. `total` None: not known yet; `rate`: items a second."""

    def note(self, sentence: str) -> None:
        """Print a line that stays."""

    def finish(self) -> None:
        """End the activity."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def open_display(log_seconds: float | None, bar: bool = False) -> StatusDisplay:
    """The display for stderr as it is now. `log_seconds`: between two lines of a log; None: the log has only notes."""
    console = Console(stderr=True)
    return TerminalDisplay(console, bar) if console.is_terminal else LogDisplay(log_seconds)


class TerminalDisplay:
    """Drawn by rich: a bar with the remaining time, or a spinner with the elapsed time. Disappears at the end."""

    def __init__(self, console: Console, bar: bool = False) -> None:
        text = TextColumn("{task.description}", markup=False)
        columns = (BarColumn(), text, TimeRemainingColumn()) if bar else (SpinnerColumn(), text, TimeElapsedColumn())
        # stdout may be a file with the results: rich must not redirect it to the terminal.
        self._progress = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        self._task = self._progress.add_task("", total=None, visible=False)

    def start(self, status: str) -> None:
        self._progress.reset(self._task, description=status, visible=True)

    def show(self, status: str, done: int | None = None, total: int | None = None, rate: float = 0.0) -> None:
        self._progress.update(self._task, description=status, completed=done, total=total, visible=True)

    def note(self, sentence: str) -> None:
        self._progress.console.print(sentence, markup=False, emoji=False, soft_wrap=True, highlight=False)

    def finish(self) -> None:
        self._progress.update(self._task, visible=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class LogDisplay:
    """Lines for files and pipes: notes at once, the status every `seconds`."""

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._began = self._logged = clock()

    def start(self, status: str) -> None:
        self._began = self._logged = self._clock()
        self.note(status)

    def show(self, status: str, done: int | None = None, total: int | None = None, rate: float = 0.0) -> None:
        now = self._clock()
        if self._seconds is None or now - self._logged < self._seconds:
            return
        self._logged = now
        left = (total - done) / rate if rate and total is not None and done is not None else 0.0
        self.note(f"{status}{f', about {left:.0f} s left' if left else ''}")

    def note(self, sentence: str) -> None:
        click.echo(sentence, err=True)

    def finish(self) -> None:
        seconds = self._clock() - self._began
        if seconds >= MIN_STEP_SECONDS:
            self.note(f"  done in {format_duration(seconds)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class StepProgress(Protocol):
    """How code reports steps that may take minutes."""

    def step(self, sentence: str) -> None:
        """Begin a step: `starting Weaviate`."""

    def detail(self, words: str) -> None:
        """Where the step is: `412 of 1510 packages`. May be called many times a second."""

    def note(self, sentence: str) -> None:
        """Print a line that stays: a method that failed, and the one that is tried next."""


class SilentProgress:
    """Prints nothing."""

    def step(self, sentence: str) -> None: ...

    def detail(self, words: str) -> None: ...

    def note(self, sentence: str) -> None: ...


SILENT = SilentProgress()


class StepDisplay:
    """Steps on stderr. A context manager. Obeys StepProgress."""

    def __init__(self, display: StatusDisplay | None = None) -> None:
        self._display = display or open_display(STEP_LOG_SECONDS)
        self._step = ""

    def step(self, sentence: str) -> None:
        self._end_step()
        self._step = sentence
        self._display.start(sentence)

    def detail(self, words: str) -> None:
        self._display.show(f"{self._step}: {words}")

    def note(self, sentence: str) -> None:
        self._display.note(sentence)

    def _end_step(self) -> None:
        if self._step:
            self._display.finish()
        self._step = ""

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if kind is None:
            self._end_step()
        self._display.__exit__(kind, *details)


def count_items(items: Iterable[ItemT], streaming: bool) -> Generator[ItemT]:
    """Yields `items`, and counts them on stderr. `streaming`: each is printed to stdout at once, which is progress
    enough where both are the terminal.
    """
    if streaming and sys.stderr.isatty() and sys.stdout.isatty():
        yield from items
        return
    began = time.monotonic()
    due = began + FIRST_SECONDS
    display: StatusDisplay | None = None
    with ExitStack() as opened:
        for count, item in enumerate(items, 1):
            yield item
            if (now := time.monotonic()) >= due:
                display = display or opened.enter_context(open_display(0.0))
                display.show(f"{count:,} images, {count / (now - began):,.0f} a second")
                due = now + (COUNT_SECONDS if sys.stderr.isatty() else COUNT_LOG_SECONDS)


def format_duration(seconds: float) -> str:
    """
    >>> format_duration(125)
    '2 min 5 s'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
