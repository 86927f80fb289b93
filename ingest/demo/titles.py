"""How a part of the show begins: what it is, how long it took, the command that does the same."""

import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import click


@dataclass(slots=True)
class Watch:
    """Milliseconds between its making and its stop."""

    began: float = field(default_factory=time.perf_counter)
    milliseconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.milliseconds = 1000 * (time.perf_counter() - watch.began)


def title(what: str, command: str | None, watch: Watch | None = None) -> None:
    took = f" · {watch.milliseconds:.0f} ms" if watch else ""
    click.echo()
    click.secho(f"{what}{took}", bold=True)
    if command:
        click.echo(f"$ {command}")


def quoted(word: str) -> str:
    """For the shell; plain words stay plain, Chinese ones too."""
    return word if word.isalnum() else shlex.quote(word)
