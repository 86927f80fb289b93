"""What containers cost: docker/compose.yaml against the same Weaviate and sidecar as processes, on the same cores.

Both stacks run at once and are measured in turns, the order changing from round to round. An ingest is that of the
user: `docker compose run ingest` here, `clip-ingest` there; its rate is from the summary, without the start of the
command. Searches are texts that no cache has, one at a time, by the Python client on this machine.
"""

import json
import statistics
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from benchmarks.common import Report, add_json_option, side_by_side
from clip_vectorizer.query import ImageSearch
from ingest.embedded import LocalStack
from tests.containers.disturbed import write_album
from tests.containers.engine import Compose, running
from tests.stack.faults.pictures import album
from tests.stack.support import Stack, clean_environment

CLAIM = "a stack of containers against the same stack of processes: rate of an ingest, time of a search"
WANTED_RATE, WANTED_TIME = ">= 0.9", "<= 1.1"
AGAINST = "processes"


@dataclass(frozen=True, slots=True)
class StackSide:
    """One of the two stacks. `ingest` puts the pictures of a round into a collection, and returns images a second."""

    stack: Stack
    ingest: Callable[[int, str], float]

    def drop(self, collection: str) -> None:
        self.stack.weaviate("DELETE", f"/v1/schema/{collection}").raise_for_status()

    def search(self, collection: str, texts: list[str]) -> float:
        """The median of the searches, in milliseconds."""
        stack = self.stack
        with ImageSearch.connect(
            stack.weaviate_url,
            grpc_port=stack.grpc_port,
            api_key=stack.api_key,
            vectorizer_url=stack.vectorizer_url,
            collection=collection,
        ) as images:
            return statistics.median(time_search(images, text) for text in texts)


def time_search(images: ImageSearch, text: str) -> float:
    start = time.perf_counter()
    images.by_text(text, 10)
    return 1000 * (time.perf_counter() - start)


@click.command()
@click.option("--images", "count", default=400, show_default=True, type=click.IntRange(20), help="Of an ingest.")
@click.option("--searches", default=200, show_default=True, type=click.IntRange(10), help="Of a side in a round.")
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(1))
@add_json_option
def main(count: int, searches: int, rounds: int, json_file: Path | None) -> None:
    """Measure an ingest and searches with both stacks, in turns. The images must be built.

    \b
    Example:
      python -m benchmarks.containers.overhead --rounds 3
    """
    report = Report(CLAIM)
    report.begin()
    rates: dict[str, list[float]] = {"containers": [], AGAINST: []}
    times: dict[str, list[float]] = {"containers": [], AGAINST: []}
    with TemporaryDirectory() as folder, both_sides(Path(folder), count, rounds) as sides:
        for number in range(rounds + 1):  # the first is not counted: it warms both up
            names = list(sides) if number % 2 else list(reversed(sides))
            collection = f"Round{number}"
            rate = {name: sides[name].ingest(number, collection) for name in names}
            texts = [f"a drawing of {number} things, the {each}th" for each in range(searches)]
            took = {name: sides[name].search(collection, texts) for name in names}
            for name in names:
                sides[name].drop(collection)
                if number > 0:
                    rates[name].append(rate[name])
                    times[name].append(took[name])
    report.note(f"{count} images of 96x72, model emoji; {searches} searches of 10 results")
    report.add(side_by_side("ingest", "images/s", rates[AGAINST], rates["containers"], AGAINST, WANTED_RATE))
    report.add(side_by_side("search, p50", "ms", times[AGAINST], times["containers"], AGAINST, WANTED_TIME))
    report.write(json_file)


@contextmanager
def both_sides(folder: Path, count: int, rounds: int) -> Iterator[dict[str, StackSide]]:
    """Each round has pictures of its own, because a sidecar keeps the vectors of those that it has seen."""
    pictures = folder / "pictures"
    for number in range(rounds + 1):
        write_album(pictures / str(number), album(count, seed=number))
    with (
        running(Compose(settings={"IMAGES": str(pictures)})) as compose,
        LocalStack("emoji", folder / "processes") as processes,
    ):
        weaviate = processes.weaviate
        local = Stack(weaviate.url, weaviate.grpc_port, weaviate.api_key, processes.sidecar.url)
        yield {
            "containers": StackSide(compose.stack(), lambda number, name: ingest_in_container(compose, number, name)),
            AGAINST: StackSide(local, lambda number, name: ingest_in_process(local, pictures / str(number), name)),
        }


def ingest_in_container(compose: Compose, number: int, collection: str) -> float:
    return read_rate(compose.run("ingest", f"/images/{number}", "--collection", collection, "--json").stdout)


def ingest_in_process(stack: Stack, pictures: Path, collection: str) -> float:
    command: list[str | Path] = [
        Path(sysconfig.get_path("scripts")) / "clip-ingest",
        pictures,
        "--collection",
        collection,
        "--json",
    ]
    env = clean_environment() | stack.env
    return read_rate(subprocess.run(command, env=env, check=True, capture_output=True, text=True).stdout)


def read_rate(stdout: str) -> float:
    """Images a second, of a summary in which all were added."""
    summary = json.loads(stdout)
    if summary["added"] != summary["seen"]:
        raise SystemExit(f"not all images were added: {summary}")
    return float(summary["added"] / summary["seconds"])


if __name__ == "__main__":
    main()
