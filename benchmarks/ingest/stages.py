"""Where the time of an ingest goes: each stage alone, with the CPU seconds of all processes, then whole runs.

The stages are the functions that `clip-ingest` runs, one after another on the same files instead of beside each other.
What the whole command takes beyond their sum is threads, queues and starts. CPU seconds are of this machine's cores
together: with two, no run is faster than half of the total.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import click

from benchmarks.common import Report, add_json_option
from benchmarks.ingest.cpu_clock import CpuClock, CpuTimes, find_descendant
from benchmarks.ingest.files import fill
from benchmarks.ingest.sides import CLIENT, MODULE, REQUEST, Stack, documented, ingest, stack
from clip_vectorizer.client import VectorizerClient
from clip_vectorizer.database.collections import CollectionSpec
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.images.model_input import decode_input, finish_input, prepare_input
from clip_vectorizer.images.opener import DecodedImage
from clip_vectorizer.images.settings import USUAL_DECODING
from ingest.embed import DuplicateIndex, SidecarEmbedder, add_vectors
from ingest.items import ImageObject, SourceItem, StoredState
from ingest.pipeline import LOOKUP_KEYS, MODULE_BATCH, UPLOAD_BATCH, split_batches, split_groups
from ingest.prepare import PrepareSettings, adapt_to_store, add_input, digest_content, is_unchanged, prepare
from ingest.preview import THUMBNAIL_QUALITY, InputFormat, encode_jpeg, make_thumbnail
from ingest.retry import Patience
from ingest.sources import open_sources
from ingest.sources.base import SETTLED_SECONDS, SourceOptions
from ingest.store.base import EmptyStore, ImageStore
from ingest.store.open import open_store

CLAIM = "milliseconds a file of clip-ingest, by stage and process; JPEGs as `python -m benchmarks.ingest` mixes them"
ResultT = TypeVar("ResultT")


class StageTable:
    """Runs stages and prints a line of each."""

    def __init__(self, report: Report, clock: CpuClock, count: int) -> None:
        self._report, self._clock, self._count = report, clock, count
        self._sum = 0.0

    def run(self, what: str, work: Callable[[], ResultT], part: bool = False) -> ResultT:
        """The result of `work`. `part`: of a stage that has a line of its own, so it does not count again."""
        before = self._clock.read()
        result = work()
        took = self._clock.read().since(before).per_item(self._count)
        self._report.note(format_times(f"  {what}" if part else what, took))
        self._sum += 0 if part else took.total
        return result

    def end(self, what: str) -> None:
        self._report.note(f"{what}: {self._sum:.2f} ms CPU in all stages\n")
        self._sum = 0.0


def format_times(what: str, took: CpuTimes) -> str:
    cpu = ", ".join(f"{name} {each:.2f}" for name, each in took.cpu.items())
    return f"{what:<38} CPU {took.total:6.2f} ({cpu}); wall {took.wall:6.2f}"


@click.command()
@click.option("--files", default=400, show_default=True, type=click.IntRange(100))
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(1), help="Of whole runs, in turns.")
@click.option("--model", default="emoji", show_default=True)
@add_json_option
def main(files: int, rounds: int, model: str, json_file: Path | None) -> None:
    """Print what each stage of an ingest takes, in milliseconds a file.

    \b
    Example:
      python benchmarks/ingest/stages.py --files 200
    """
    report = Report(CLAIM)
    report.begin()
    with TemporaryDirectory() as name, stack(model, "fp32") as servers:
        folder = Path(name)
        fill({folder: files})
        time.sleep(SETTLED_SECONDS)  # younger files have no stamp, and would be read again
        clock = CpuClock({"sidecar": servers.sidecar_pid, "Weaviate": find_descendant("weaviate")})
        table = StageTable(report, clock, files)
        for way in ("client", "module"):
            with open_collection(servers, f"Stages{way.title()}", way == "client") as store:
                run_stages(table, servers, store, folder, way == "client")
                table.end(f"--embed {way}")
        for number in range(rounds):
            run_whole(table, servers, folder, str(number))
    report.write(json_file)


@contextmanager
def open_collection(servers: Stack, collection: str, embed_here: bool) -> Iterator[ImageStore]:
    weaviate = servers.weaviate
    connection = ConnectionSettings(weaviate.url, weaviate.grpc_port, weaviate.api_key, servers.sidecar_url)
    with open_store(connection, collection, CollectionSpec(embed_here=embed_here)) as store:
        yield store


def run_stages(table: StageTable, servers: Stack, store: ImageStore, folder: Path, embed_here: bool) -> None:
    settings = add_input(adapt_to_store(PrepareSettings(), store), store, by_module=not embed_here)
    items = table.run("list", lambda: list_items(folder))
    states = table.run("look up, nothing stored", lambda: look_up(items, store))
    changes = table.run("read and prepare", lambda: prepare_all(items, states, settings))
    files = table.run("read", lambda: [read_file(item) for item in items], part=True)
    table.run("hash", lambda: [digest_content(file, "") for file in files], part=True)
    if settings.input:
        run_parts(table, files, settings.input)
    linked = table.run("equal images", lambda: link(changes, store))
    if embed_here:
        linked = table.run(f"vectors, {REQUEST} a request", lambda: embed(linked, servers, store))
    batch = UPLOAD_BATCH if embed_here else MODULE_BATCH
    table.run("insert", lambda: [store.put(part) for part in split_batches(linked, batch)])
    again = table.run("verify: look up, all stored", lambda: look_up(items, store))
    unchanged = sum(is_unchanged(item, again.get(item.key), settings) for item in items)
    if unchanged != len(items):
        raise RuntimeError(f"{unchanged} of {len(items)} files are stored")


def run_parts(table: StageTable, files: Sequence[bytes], model_input: InputFormat) -> None:
    """The parts of preparing a file. `files`: as they are on disk."""
    recipe = model_input.recipe
    decoded = table.run(
        "decode", lambda: [decode_input(each, recipe.size, USUAL_DECODING) for each in files], part=True
    )
    inputs = table.run(
        "model's pixels",
        lambda: [finish_input(each, lambda image, box: prepare_input(image, recipe, box)) for each in decoded],
        part=True,
    )
    table.run("model's pixels as a file", lambda: [model_input.encode(each) for each in inputs], part=True)
    table.run("thumbnail", lambda: [draw_thumbnail(each) for each in decoded], part=True)


def list_items(folder: Path) -> list[SourceItem]:
    [source] = open_sources([str(folder)], SourceOptions())
    return [found for found in source if isinstance(found, SourceItem)]


def look_up(items: Sequence[SourceItem], store: ImageStore) -> dict[str, StoredState]:
    groups = split_groups([item.key for item in items], LOOKUP_KEYS)
    return {key: state for keys in groups for key, state in store.states(keys).items()}


def read_file(item: SourceItem) -> bytes:
    data = item.read()
    assert isinstance(data, bytes)
    return data


def draw_thumbnail(decoded: DecodedImage) -> bytes:
    return encode_jpeg(make_thumbnail(decoded.pixels, decoded.size, decoded.box), THUMBNAIL_QUALITY)


def prepare_all(
    items: Sequence[SourceItem], states: dict[str, StoredState], settings: PrepareSettings
) -> list[ImageObject]:
    prepared = (prepare(item, states.get(item.key), settings) for item in items)
    return [each for each in prepared if isinstance(each, ImageObject)]


def link(changes: Sequence[ImageObject], store: ImageStore) -> list[ImageObject]:
    duplicates = DuplicateIndex(store)
    return [item for group in split_groups(changes, REQUEST) for item in duplicates.link(group)]


def embed(changes: Sequence[ImageObject], servers: Stack, store: ImageStore) -> list[ImageObject]:
    duplicates = DuplicateIndex(EmptyStore(store.model, store.keep))  # equal images are looked for before
    with VectorizerClient(servers.sidecar_url) as sidecar:
        embedder = SidecarEmbedder(sidecar, store.model)
        groups = split_groups(changes, REQUEST)
        done = [each for group in groups for each in add_vectors(group, duplicates, embedder, Patience(0))]
    return [each for each in done if isinstance(each, ImageObject)]


def run_whole(table: StageTable, servers: Stack, folder: Path, number: str) -> None:
    """Processes, as a user starts them. A second run is little else than the start of Python, which each has."""
    table.run("documented loop", lambda: documented(servers, folder))
    for name, way in (("Client", CLIENT), ("Module", MODULE)):
        run_twice(table, servers, folder, f"{name}{number}", way)


def run_twice(table: StageTable, servers: Stack, folder: Path, collection: str, way: Sequence[str]) -> None:
    for fate, what in (("added", "whole command"), ("unchanged", "second run")):
        table.run(f"{what}, {' '.join(way) or 'module'}", lambda: ingest(servers, [folder], collection, way, fate))  # noqa: B023


if __name__ == "__main__":
    main()
