"""Lines of the demo: headings with times, and words and paths as a shell takes them."""

import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click


@dataclass(slots=True)
class Stopwatch:
    """`milliseconds` is the duration of the `with measure_time()` block, set at its end."""

    began: float = field(default_factory=time.perf_counter)
    milliseconds: float = 0.0


@contextmanager
def measure_time() -> Iterator[Stopwatch]:
    watch = Stopwatch()
    yield watch
    watch.milliseconds = 1000 * (time.perf_counter() - watch.began)


def print_title(what: str, command: str | None, watch: Stopwatch | None = None) -> None:
    """Print the heading of a part: its name, its duration, and the command that does the same."""
    took = f" · {watch.milliseconds:.0f} ms" if watch else ""
    click.echo()
    click.secho(f"{what}{took}", bold=True)
    if command:
        click.echo(f"$ {command}")


def quote_word(word: str) -> str:
    """Quote a word for the shell; plain words stay as they are, Chinese ones too."""
    return word if word.isalnum() else shlex.quote(word)


def format_path(path: Path) -> str:
    """Return the path relative to the working directory if it is inside it, which is shorter."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative
