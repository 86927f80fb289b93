"""Progress on stderr: a spinner with the time on a terminal; elsewhere a line a step, and one now and then."""

import sys
import time
from typing import Self

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bars
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

LINE_SECONDS = 15.0
WORTH_SAYING_SECONDS = 2.0


def open_console() -> "Terminal | Lines":
    return Terminal() if sys.stderr.isatty() else Lines()


class Lines:
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
        if time.monotonic() - self._said >= LINE_SECONDS:
            self._said = time.monotonic()
            self.note(f"  {words}, {clock(self._said - self._began)}")

    def note(self, sentence: str) -> None:
        click.echo(sentence, err=True)

    def end_step(self) -> None:
        seconds = time.monotonic() - self._began
        if self._sentence and seconds >= WORTH_SAYING_SECONDS:
            self.note(f"  done in {clock(seconds)}")
        self._sentence = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.end_step()


class Terminal:
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


def clock(seconds: float) -> str:
    """`9 s`, `2 min 5 s`"""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
