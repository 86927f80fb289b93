"""Start-up time of the commands: what a user waits for `--help`, next to a bare interpreter."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.common import Report, add_json_option, side_by_side

CLAIM = "`clip-search --help` and `clip-ingest --help` in <= 0.25 s"
COMMANDS = ("clip-search", "clip-ingest")
INTERPRETER = (sys.executable, "-c", "pass")


@click.command()
@click.option("--rounds", default=9, show_default=True, type=click.IntRange(1))
@add_json_option
def main(rounds: int, json_file: Path | None) -> None:
    """Measure the start-up time of each command.

    \b
    Example:
      python benchmarks/startup.py --rounds 5
    """
    report = Report(CLAIM)
    report.begin()
    for name in COMMANDS:
        words = (str(Path(sys.executable).parent / name), "--help")
        time_command(words)  # compiles modules and fills the disk cache
        bare, ours = zip(*((time_command(INTERPRETER), time_command(words)) for _ in range(rounds)), strict=True)
        report.add(side_by_side(f"s to start, {name} --help", "s", bare, ours, "python -c pass", "ours <= 0.25 s"))
    report.write(json_file)


def time_command(words: Sequence[str]) -> float:
    """Return the seconds from start to exit. Raises CalledProcessError when the command fails."""
    start = time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
