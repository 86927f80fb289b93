"""How long `docker compose up --wait` takes from nothing to healthy, with the images built."""

import time
from pathlib import Path

import click

from benchmarks.common import Figure, Report, Spread, add_json_option
from tests.containers.engine import Compose, running

CLAIM = "docker compose up --wait: from no container, network and volume to a healthy Weaviate and sidecar"


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@add_json_option
def main(rounds: int, json_file: Path | None) -> None:
    """Start the stack of docker/compose.yaml and remove it, again and again. The images must be built.

    \b
    Example:
      python -m benchmarks.containers.cold_start --rounds 3
    """
    report = Report(CLAIM)
    report.begin()
    report.add(Figure("up --wait", "s", None, Spread.of([measure_start() for _ in range(rounds)]), None))
    report.write(json_file)


def measure_start() -> float:
    """Seconds, of a project of its own."""
    start = time.monotonic()
    with running(Compose()):
        return time.monotonic() - start


if __name__ == "__main__":
    main()
