"""How far a long run has come, on stderr, for those who wait.

Progress on stderr: a spinner with the time on a terminal; elsewhere a line a step, and one now and then.

How long steps tell what they do: a protocol, and the silent one for tests.
"""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Protocol, Self, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

FIRST_SECONDS = 2.0  # a short run is done before anybody wonders
UPDATE_SECONDS = 1.0
LOG_SECONDS = 10.0  # where stderr is a file
CLEAR_LINE = "\r\x1b[K"  # to the beginning of the line, which is cleared
DETAIL_SECONDS = 15.0
MIN_STEP_SECONDS = 2.0

ItemT = TypeVar("ItemT")


def count_items(items: Iterable[ItemT], streaming: bool) -> Iterator[ItemT]:
    """The items. `streaming`: each is shown on stdout at once, so that a terminal shows enough already."""
    line = sys.stderr.isatty()
    if streaming and line and sys.stdout.isatty():
        yield from items
        return
    begin = time.monotonic()
    shown, due = False, begin + FIRST_SECONDS
    for count, item in enumerate(items, 1):
        yield item
        if (now := time.monotonic()) >= due:
            text = f"{count:,} images, {count / (now - begin):,.0f} a second"
            click.echo(CLEAR_LINE + text if line else text, nl=not line, err=True)
            shown, due = True, now + (UPDATE_SECONDS if line else LOG_SECONDS)
    if shown and line:
        click.echo(CLEAR_LINE, nl=False, err=True)


def open_step_progress() -> "SpinnerProgress | LineProgress":
    return SpinnerProgress() if sys.stderr.isatty() else LineProgress()


class LineProgress:
    """A Progress for logs and pipes. A context manager."""

    def __init__(self) -> None:
        self._sentence = ""
        self._began = self._said = time.monotonic()

    def step(self, sentence: str) -> None:
        self.end_step()
        self._sentence = sentence
        self._began = self._said = time.monotonic()
        self.note(sentence)

    def detail(self, words: str) -> None:
        if time.monotonic() - self._said >= DETAIL_SECONDS:
            self._said = time.monotonic()
            self.note(f"  {words}, {format_duration(self._said - self._began)}")

    def note(self, sentence: str) -> None:
        click.echo(sentence, err=True)

    def end_step(self) -> None:
        seconds = time.monotonic() - self._began
        if self._sentence and seconds >= MIN_STEP_SECONDS:
            self.note(f"  done in {format_duration(seconds)}")
        self._sentence = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end_step()


class SpinnerProgress:
    """A Progress for people. A context manager."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bars = Bars(*columns, console=console, transient=True)
        self._sentence = ""

    def step(self, sentence: str) -> None:
        for task in self._bars.task_ids:
            self._bars.remove_task(task)
        self._sentence = sentence
        self._bars.add_task(escape(sentence), total=None)

    def detail(self, words: str) -> None:
        for task in self._bars.task_ids:
            self._bars.update(task, description=escape(f"{self._sentence}: {words}"))

    def note(self, sentence: str) -> None:
        self._bars.console.print(escape(sentence), soft_wrap=True, highlight=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def format_duration(seconds: float) -> str:
    """`9 s`, `2 min 5 s`"""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class StepProgress(Protocol):
    def step(self, sentence: str) -> None:
        """A step begins that may take seconds or minutes: `starting Weaviate`."""

    def detail(self, words: str) -> None:
        """Where the present step is: `412 of 1510 packages`. May come many times a second."""

    def note(self, sentence: str) -> None:
        """Something worth a line that stays: a way that did not work and what comes next."""


class SilentProgress:
    """Says nothing."""

    def step(self, sentence: str) -> None: ...

    def detail(self, words: str) -> None: ...

    def note(self, sentence: str) -> None: ...


SILENT = SilentProgress()
