"""Broken image files through the decoder and the ingest's preview, or a sidecar: refusals only, no hang, no growth.

The files are mutations of the corpus of the tests (`tests/images/corpus.py`); equal seeds make equal files.
"""

import resource
import sys
import time
from itertools import islice
from pathlib import Path

import click

from benchmarks.common import describe_machine
from benchmarks.servers import start_own_server
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.errors import SidecarRefused
from tests.images.fuzz import FuzzTally, note_failure, run_files
from tests.images.mutations import mutated_files

STEP = 1000  # files between two lines of progress
BATCH = 32  # files in one request
MOST_SECONDS = 30.0  # for one request
REFUSALS = (413, 422)


@click.command()
@click.option("--files", default=20_000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=1, show_default=True)
@click.option("--http", is_flag=True, help="Send them to a sidecar with the model emoji, 32 a request.")
def main(files: int, seed: int, http: bool) -> None:
    """Decode broken files as the sidecar and as the ingest do; exit code 1 if one of them fails.

    \b
    Example:
      python -m benchmarks.fuzz_images --files 20000 --seed 7
    """
    click.echo(describe_machine())
    tally = send_files(files, seed) if http else run_files(mutated_files(files, seed), files, report_progress)
    click.echo(describe_tally(files, tally))
    sys.exit(1 if tally.failures else 0)


def send_files(files: int, seed: int) -> FuzzTally:
    """Every file to a sidecar of its own; another status than a refusal's, a slow request and growth are failures."""
    tally, settled = FuzzTally(), 0
    with start_own_server("fp32", "emoji") as server, VectorizerClient(server.url) as client:
        mutated = mutated_files(files, seed)
        for number in range(-(-files // BATCH)):
            batch = tuple(islice(mutated, BATCH))
            if number == files // BATCH // 4:
                settled = resident_bytes(server.pid)
            send_batch(client, batch, tally)
            if number * BATCH % STEP < BATCH:
                click.echo(f"{number * BATCH} files, {tally.outcomes['failed']} failures", err=True)
        tally.grown_bytes = resident_bytes(server.pid) - settled
    return tally


def send_batch(client: VectorizerClient, batch: tuple[tuple[str, bytes], ...], tally: FuzzTally) -> None:
    begin = time.monotonic()
    for (name, _), outcome in zip(batch, client.embed_each_image([data for _, data in batch]), strict=True):
        status = outcome.status if isinstance(outcome, SidecarRefused) else 200
        tally.outcomes[f"HTTP: {status}"] += 1
        if status not in (200, *REFUSALS):
            note_failure(tally, f"{name}: {outcome}")
    seconds = time.monotonic() - begin
    tally.slowest_seconds = max(tally.slowest_seconds, seconds)
    if seconds > MOST_SECONDS:
        note_failure(tally, f"{batch[0][0]} and others took {seconds:.1f} s")


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def report_progress(number: int, tally: FuzzTally) -> None:
    if (number + 1) % STEP == 0:
        click.echo(f"{number + 1} files, {tally.outcomes['failed']} failures", err=True)


def describe_tally(files: int, tally: FuzzTally) -> str:
    counts = "\n".join(f"{count:8} {outcome}" for outcome, count in sorted(tally.outcomes.items()))
    last = f"{files} files, slowest {tally.slowest_seconds:.2f} s, memory grown by {tally.grown_bytes / 2**20:.1f} MiB"
    return "\n".join([counts, *tally.failures, last])


if __name__ == "__main__":
    main()
