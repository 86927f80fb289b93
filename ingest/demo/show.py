"""The show: ingest a folder, then one example of every kind of question, with times.

Which images the show asks about: well-known ones of the examples, else a spread of whatever the folder holds.

How a part of the show begins: what it is, how long it took, the command that does the same.

The last words of the show: commands that work as they stand.

A nearText query in Weaviate's own GraphQL: Weaviate asks the sidecar by itself, our code has no part in it.
"""

import json
import os
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import httpx

from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.database.schema import CAPTION, PATH, VECTOR
from clip_vectorizer.defaults import IMAGE_COLLECTION
from clip_vectorizer.errors import VectorizerError, WeaviateUnreachable
from clip_vectorizer.progress import open_step_progress
from clip_vectorizer.query import Hit, ImageSearch
from clip_vectorizer.query.display.tables import print_table
from clip_vectorizer.query.prompts import default_templates
from ingest.demo.places import Endpoints, choose_data_dir, read_environment_endpoints, read_stack_endpoints
from ingest.demo.state import find_running, list_daemon_files
from ingest.embedded import LocalStack
from ingest.items import SourceItem
from ingest.pipeline import ingest
from ingest.progress import progress_on_stderr
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions
from ingest.store.open import open_store

DEMO_COLLECTION = "ClipDemo"  # in a Weaviate that is not the demo's own, Image may be somebody's
ENGLISH_TEXT = "a red apple"
CHINESE_TEXT = "草莓"  # strawberry
GRAPHQL_TEXT = "a guitar"
LIMIT = 3
WIDTH = 80  # columns
QUERY_IMAGE = "animals/cat.png"
CLASSIFIED_IMAGES = (
    "animals/panda.png",
    "birds/penguin.png",
    "flowers/sunflower.png",
    "food/ice-cream.png",
    "fruit/red-apple.png",
    "musical instruments/guitar.png",
    "tools/hammer.png",
    "vehicles/tractor.png",
)
CAPTION_GAP = "·"  # between the English and the Chinese name
TIMEOUT_SECONDS = 60.0  # Weaviate's own limit for its module is 50


@dataclass(frozen=True, slots=True)
class DemoStack:
    """Where the show plays."""

    endpoints: Endpoints
    collection: str
    ends_with_show: bool


def run_show(model: str, images: Path, env: Mapping[str, str]) -> int:
    """Prints everything on stdout; the exit code of the ingest. Raises StackError, and what ingest and search raise."""
    began = time.monotonic()
    with open_demo_stack(model, env) as stage:
        click.echo(f"Weaviate at {stage.endpoints.weaviate_url}, sidecar at {stage.endpoints.vectorizer_url}")
        exit_code = ingest_images(stage, images)
        with connect_search(stage) as search:
            show_text_search(search, "search by text", ENGLISH_TEXT)
            show_text_search(search, "search by Chinese text", CHINESE_TEXT)
            show_image_search(search, pick_query_image(images))
            show_graphql_query(stage)
            show_classification(search, images)
    click.echo(f"\nAll of it took {time.monotonic() - began:.1f} s.\n")
    click.echo(format_next_commands(model, pick_query_image(images), stage.collection, stage.ends_with_show))
    return exit_code


@contextmanager
def open_demo_stack(model: str, env: Mapping[str, str]) -> Iterator[DemoStack]:
    """The stack that the environment names, or the one in the background, else a new one that ends with the show."""
    state = find_running(list_daemon_files(env))
    ours = state.endpoints if state and state.model == model else None
    named = read_environment_endpoints(env)
    if named and not (ours and named.weaviate_url == ours.weaviate_url):
        yield DemoStack(named, DEMO_COLLECTION, ends_with_show=False)
    elif ours:
        yield DemoStack(ours, IMAGE_COLLECTION, ends_with_show=False)
    else:
        with start_new_stack(model, env) as stack:
            yield DemoStack(read_stack_endpoints(stack), IMAGE_COLLECTION, ends_with_show=True)


@contextmanager
def start_new_stack(model: str, env: Mapping[str, str]) -> Iterator[LocalStack]:
    with ExitStack() as opened:
        with open_step_progress() as progress:
            stack = opened.enter_context(LocalStack(model, choose_data_dir(model, env), progress))
        yield stack


def ingest_images(stage: DemoStack, images: Path) -> int:
    where = stage.endpoints
    connection = ConnectionSettings(where.weaviate_url, where.grpc_port, where.api_key, where.vectorizer_url)
    with (
        open_store(connection, stage.collection) as store,
        progress_on_stderr() as listener,
    ):
        report = ingest(open_sources([str(images)], SourceOptions()), store, on_progress=listener)
    print_title("ingest", f"clip-ingest {quote_word(format_path(images))}")
    click.echo(textwrap.fill(f"{report.summary()} -> {stage.collection}, model {store.model.model}", WIDTH))
    return report.exit_code


def connect_search(stage: DemoStack) -> ImageSearch:
    where = stage.endpoints
    return ImageSearch.connect(
        where.weaviate_url, where.grpc_port, where.api_key, where.vectorizer_url, stage.collection
    )


def show_text_search(search: ImageSearch, what: str, text: str) -> None:
    with measure_time() as watch:
        hits = search.by_text(text, LIMIT)
    print_title(what, f"clip-search {quote_word(text)} --limit {LIMIT}", watch)
    show_hits(hits)


def show_image_search(search: ImageSearch, image: Path) -> None:
    with measure_time() as watch:
        hits = search.by_image(image, LIMIT)
    print_title("search by image file", f"clip-search --image {quote_word(format_path(image))} --limit {LIMIT}", watch)
    show_hits(hits)


def show_graphql_query(stage: DemoStack) -> None:
    query = build_near_text_query(stage.collection, GRAPHQL_TEXT, LIMIT)
    with measure_time() as watch:
        rows = send_graphql_query(stage.endpoints, stage.collection, query)
    print_title("GraphQL, answered by Weaviate through its multi2vec-clip module", None, watch)
    click.echo(query)
    cells = [(f"{row['_additional']['distance']:.3f}", row[PATH], row[CAPTION] or "") for row in rows]
    print_table(("distance", "path", "caption"), cells)


def show_classification(search: ImageSearch, images: Path) -> None:
    chosen = pick_images_to_classify(images)
    labels = list_label_names(chosen)
    if len(labels) < 2:
        print_title("zero-shot classification", None)
        click.echo("left out: the images have neither captions nor folders to take two labels from")
        return
    with measure_time() as watch:
        results = list(search.classify([image.file for image in chosen], labels))
    templates = default_templates(labels[0], search.info.model)
    print_title(f"zero-shot classification, {len(templates)} prompts a label, averaged", None, watch)
    click.echo(f"prompts: {' · '.join(template.format(labels[0]) for template in templates[:3])} · ...")
    cells = [
        (image.key, each.label, f"{each.score:.2f}", each.runner_up)
        for image, each in zip(chosen, results, strict=True)
    ]
    print_table(("path", "label", "score", "runner-up"), cells)


def show_hits(hits: list[Hit]) -> None:
    print_table(("similarity", "path", "caption"), [(f"{hit.similarity:.3f}", hit.path, hit.caption) for hit in hits])


@dataclass(frozen=True, slots=True)
class Sample:
    file: Path
    key: str
    label: str
    caption: str


def pick_query_image(images: Path) -> Path:
    return pick_samples(images, [QUERY_IMAGE], count=1)[0].file


def pick_images_to_classify(images: Path) -> list[Sample]:
    return pick_samples(images, CLASSIFIED_IMAGES, count=len(CLASSIFIED_IMAGES))


def pick_samples(images: Path, preferred: Sequence[str], count: int) -> list[Sample]:
    """The preferred ones if all are there, else up to `count` at equal steps through the folder."""
    [source] = open_sources([str(images)], SourceOptions())
    every = [found for found in source if isinstance(found, SourceItem)]
    known = {item.key: item for item in every}
    if all(key in known for key in preferred):
        return [build_sample(images, known[key]) for key in preferred]
    return [build_sample(images, item) for item in every[:: max(1, len(every) // count)][:count]]


def build_sample(images: Path, item: SourceItem) -> Sample:
    facts = item.facts(b"")
    return Sample(images / item.key, item.key, facts.label, facts.caption)


def list_label_names(images: Sequence[Sample]) -> list[str]:
    """Labels to choose among, each once: the captions' first names, else the folders'."""
    return list(dict.fromkeys(name for image in images if (name := choose_label_name(image))))


def choose_label_name(image: Sample) -> str:
    if image.caption:
        return " ".join(image.caption.split(CAPTION_GAP)[0].replace(",", " ").split())
    return image.label


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds between its making and its stop."""

    began: float = field(default_factory=time.perf_counter)
    milliseconds: float = 0.0


@contextmanager
def measure_time() -> Iterator[Stopwatch]:
    watch = Stopwatch()
    yield watch
    watch.milliseconds = 1000 * (time.perf_counter() - watch.began)


def print_title(what: str, command: str | None, watch: Stopwatch | None = None) -> None:
    took = f" · {watch.milliseconds:.0f} ms" if watch else ""
    click.echo()
    click.secho(f"{what}{took}", bold=True)
    if command:
        click.echo(f"$ {command}")


def quote_word(word: str) -> str:
    """For the shell; plain words stay plain, Chinese ones too."""
    return word if word.isalnum() else shlex.quote(word)


def format_next_commands(model: str, image: Path, collection: str, started_here: bool) -> str:
    """Shell lines. A stack that ended with the show is started again in the background first."""
    named = "" if collection == IMAGE_COLLECTION else f" --collection {collection}"
    with_model = "" if model == "emoji" else f" --model {shlex.quote(model)}"
    picture = shlex.quote(format_path(image))
    lines = [
        *list_activation_lines(),
        *([f'eval "$(clip-demo up{with_model})"'] if started_here else []),
        f'clip-search "red apple"{named}',
        f"clip-search 吉他 --limit 3{named}",
        f"clip-search --image {picture}{named}",
        f'clip-classify --labels "cat,dog,panda" {picture}',
        f"clip-ingest ~/Pictures{named}",
        "clip-demo down",
    ]
    return "\n".join(["Try next:", *(f"  {line}" for line in lines)])


def list_activation_lines() -> list[str]:
    """A line that puts the commands on PATH, if they are not."""
    folder = Path(sys.executable).parent
    if (found := shutil.which("clip-search")) and Path(found).parent == folder:
        return []
    if (folder / "activate").is_file():
        return [f". {shlex.quote(format_path(folder / 'activate'))}"]
    return [f'export PATH={shlex.quote(str(folder))}:"$PATH"']


def format_path(path: Path) -> str:
    """Relative to here when it lies below: shorter, and it fits the line."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def build_near_text_query(collection: str, text: str, limit: int) -> str:
    """The query, as one would type it."""
    return f"""{{
  Get {{
    {collection}(
      nearText: {{concepts: [{json.dumps(text, ensure_ascii=False)}], targetVectors: ["{VECTOR}"]}}
      limit: {limit}
    ) {{ {PATH} {CAPTION} _additional {{ distance }} }}
  }}
}}"""


def send_graphql_query(endpoints: Endpoints, collection: str, query: str) -> list[dict[str, Any]]:
    """The rows of the answer. Raises WeaviateUnreachable, and VectorizerError with Weaviate's own words."""
    headers = {"Authorization": f"Bearer {endpoints.api_key}"} if endpoints.api_key else {}
    url = f"{endpoints.weaviate_url.rstrip('/')}/v1/graphql"
    try:
        answer = httpx.post(url, json={"query": query}, headers=headers, timeout=TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        raise WeaviateUnreachable(f"{url}: {error}") from error
    told = answer.json()
    if told.get("errors"):
        raise VectorizerError(f"Weaviate refuses the GraphQL query: {told['errors'][0].get('message')}")
    rows: list[dict[str, Any]] = told["data"]["Get"][collection]
    return rows
