"""Broken image files through the decoder and the ingest's preview: refusals only, no hang, no growth of memory.

The files are mutations of the corpus of the tests (`tests/images/corpus.py`); equal seeds make equal files.
"""

import sys

import click

from benchmarks.common import describe_machine
from tests.images.fuzz import FuzzTally, run_files
from tests.images.mutations import mutated_files

STEP = 1000  # files between two lines of progress


@click.command()
@click.option("--files", default=20_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True)
def main(files: int, seed: int) -> None:
    """Send broken files through both ways; exit code 1 if one of them fails.

    \b
    Example:
      python -m benchmarks.fuzz_images --files 20000 --seed 7
    """
    click.echo(describe_machine())
    tally = run_files(mutated_files(files, seed), files, report_progress)
    click.echo(describe_tally(files, tally))
    sys.exit(1 if tally.failures else 0)


def report_progress(number: int, tally: FuzzTally) -> None:
    if (number + 1) % STEP == 0:
        click.echo(f"{number + 1} files, {tally.outcomes['failed']} failures", err=True)


def describe_tally(files: int, tally: FuzzTally) -> str:
    counts = "\n".join(f"{count:8} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
    last = f"{files} files, slowest {tally.slowest_seconds:.2f} s, memory grown by {tally.grown_bytes / 2**20:.1f} MiB"
    return "\n".join([counts, *tally.failures, last])


if __name__ == "__main__":
    main()
