"""Shared by all benchmarks: the machine line, medians and spreads, and the output of figures.

A script collects `Figure`s in a `Report`. Both sides are measured in turns, and a ratio is computed per round and
summarised by its median and spread, so that a machine that slows down in one round affects both sides.
"""

import dataclasses
import datetime
import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar

import click

from clip_vectorizer.server.settings import PRECISIONS

CPUINFO = Path("/proc/cpuinfo")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
Command = TypeVar("Command", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        return f"{format_number(self.median)} ({format_number(self.least)}-{format_number(self.most)})"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table: `ours` against `theirs`, measured in turns."""

    what: str
    unit: str
    theirs: Spread | None
    ours: Spread
    ratio: Spread | None
    against: str = ""  # what `theirs` is
    target: str = ""  # of the ratio, as a sentence

    def __str__(self) -> str:
        theirs = f"; {self.against}: {self.theirs} {self.unit}" if self.theirs else ""
        ratio = f"; ratio {self.ratio}" if self.ratio else ""
        wanted = f", wanted {self.target}" if self.target else ""
        return f"{self.what}: {self.ours} {self.unit}{theirs}{ratio}{wanted}"


@dataclass(slots=True)
class Report:
    """Figures of one run of one script. Prints each figure when it is added."""

    claim: str
    figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def begin(self) -> None:
        click.echo(
            f"# {self.claim}\nmachine: {describe_machine()}\ndate: {format_today()}\ncommand: {format_command()}"
        )

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        click.echo(str(figure))

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)
        click.echo(sentence)

    def write(self, file: Path | None) -> None:
        if file:
            facts = {"machine": describe_machine(), "date": format_today(), "command": format_command()}
            file.write_text(json.dumps({**facts, **dataclasses.asdict(self)}, indent=1) + "\n")


def side_by_side(
    what: str, unit: str, theirs: Sequence[float], ours: Sequence[float], against: str, target: str = ""
) -> Figure:
    """Return a figure of one value per round and side; the ratio is ours / theirs of the same round."""
    ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Figure(what, unit, Spread.of(theirs), Spread.of(ours), Spread.of(ratios), against, target)


def format_number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def describe_machine() -> str:
    """Return the processor with the instructions that matter to a model, its cores, and Python."""
    found = read_cpu_fields()
    flags = [flag for flag in FLAGS if flag in found.get("flags", "").split()]
    name = found.get("model name") or platform.processor() or platform.machine()
    family = f"family {found.get('cpu family', '?')} model {found.get('model', '?')}"
    known = " ".join(flags) or f"none of {' '.join(FLAGS)}"
    return f"{name} ({family}; {known}), {count_cores()} cores, python {platform.python_version()}"


def read_cpu_fields() -> dict[str, str]:
    """Return /proc/cpuinfo of the first core; empty except on Linux."""
    if not CPUINFO.exists():
        return {}
    lines = CPUINFO.read_text().split("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def list_fast_precisions() -> tuple[str, ...]:
    """Return the precisions that a CPU of this kind is served with: bf16 only where it has instructions for it."""
    return tuple(each for each in PRECISIONS if each != "bf16" or has_fast_bf16())


def has_fast_bf16() -> bool:
    return any(flag in read_cpu_fields().get("flags", "").split() for flag in ("avx512_bf16", "amx_bf16"))


def format_today() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_command() -> str:
    """Return the command as typed in the root of the repository, without paths of this machine."""
    script = Path(sys.argv[0]).resolve().relative_to(Path(__file__).resolve().parents[1])
    module = ["-m", ".".join(script.parent.parts)] if script.name == "__main__.py" else [script.as_posix()]
    words = [*module, *(Path(word).name if word.startswith("/") else word for word in sys.argv[1:])]
    return shlex.join(["python", *words])


def add_json_option(function: Command) -> Command:
    help_text = "Write the figures to this file too."
    return click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help=help_text)(
        function
    )
