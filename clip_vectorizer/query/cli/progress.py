"""How far a long run has come, on stderr, for those who wait."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

Item = TypeVar("Item")
FIRST_SECONDS = 2.0  # a short run is done before anybody wonders
EVERY_SECONDS = 1.0
EVERY_LINE_SECONDS = 10.0  # where stderr is a file
BACK = "\r\x1b[K"  # to the beginning of the line, which is cleared


def with_progress(items: Iterable[Item], streaming: bool) -> Iterator[Item]:
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
            click.echo(BACK + text if line else text, nl=not line, err=True)
            shown, due = True, now + (EVERY_SECONDS if line else EVERY_LINE_SECONDS)
    if shown and line:
        click.echo(BACK, nl=False, err=True)
