"""The show: ingest a folder, then one example of every kind of question, with times."""

import textwrap
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from clip_vectorizer.connection import Connection
from clip_vectorizer.query import Hit, ImageSearch
from clip_vectorizer.query.prompts import default_templates
from clip_vectorizer.query.showing.output import show_table
from clip_vectorizer.schema import CAPTION, IMAGE_COLLECTION, PATH
from ingest.demo import graphql, samples
from ingest.demo.console import open_console
from ingest.demo.places import Endpoints, data_dir, endpoints_from, endpoints_of
from ingest.demo.state import files, running
from ingest.demo.titles import quoted, stopwatch, title
from ingest.demo.try_next import commands, shown
from ingest.embedded import LocalStack
from ingest.open_store import open_store
from ingest.pipeline import ingest
from ingest.progress import progress_on_stderr
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions

FOREIGN_COLLECTION = "ClipDemo"  # in a Weaviate that is not the demo's own, Image may be somebody's
TEXT = "a red apple"
CHINESE = "草莓"  # strawberry
GRAPHQL_TEXT = "a guitar"
LIMIT = 3
WIDTH = 80  # columns


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the show plays."""

    endpoints: Endpoints
    collection: str
    ends_with_show: bool


def show(model: str, images: Path, env: Mapping[str, str]) -> int:
    """Prints everything on stdout; the exit code of the ingest. Raises StackError, and what ingest and search raise."""
    began = time.monotonic()
    with stage_for(model, env) as stage:
        click.echo(f"Weaviate at {stage.endpoints.weaviate_url}, sidecar at {stage.endpoints.vectorizer_url}")
        exit_code = fill(stage, images)
        with connected(stage) as search:
            text_search(search, "search by text", TEXT)
            text_search(search, "search by Chinese text", CHINESE)
            image_search(search, samples.query_image(images))
            graphql_query(stage)
            classification(search, images)
    click.echo(f"\nAll of it took {time.monotonic() - began:.1f} s.\n")
    click.echo(commands(model, samples.query_image(images), stage.collection, stage.ends_with_show))
    return exit_code


@contextmanager
def stage_for(model: str, env: Mapping[str, str]) -> Iterator[Stage]:
    """The stack that the environment names, or the one in the background, else a new one that ends with the show."""
    state = running(files(env))
    ours = state.endpoints if state and state.model == model else None
    named = endpoints_from(env)
    if named and not (ours and named.weaviate_url == ours.weaviate_url):
        yield Stage(named, FOREIGN_COLLECTION, ends_with_show=False)
    elif ours:
        yield Stage(ours, IMAGE_COLLECTION, ends_with_show=False)
    else:
        with new_stack(model, env) as stack:
            yield Stage(endpoints_of(stack), IMAGE_COLLECTION, ends_with_show=True)


@contextmanager
def new_stack(model: str, env: Mapping[str, str]) -> Iterator[LocalStack]:
    with ExitStack() as opened:
        with open_console() as progress:
            stack = opened.enter_context(LocalStack(model, data_dir(model, env), progress))
        yield stack


def fill(stage: Stage, images: Path) -> int:
    where = stage.endpoints
    connection = Connection(where.weaviate_url, where.grpc_port, where.api_key, where.vectorizer_url)
    with (
        open_store(connection, stage.collection) as store,
        progress_on_stderr() as listener,
    ):
        report = ingest(open_sources([str(images)], SourceOptions()), store, on_progress=listener)
    title("ingest", f"clip-ingest {quoted(shown(images))}")
    click.echo(textwrap.fill(f"{report.summary()} -> {stage.collection}, model {store.model.model}", WIDTH))
    return report.exit_code


def connected(stage: Stage) -> ImageSearch:
    where = stage.endpoints
    return ImageSearch.connect(
        where.weaviate_url, where.grpc_port, where.api_key, where.vectorizer_url, stage.collection
    )


def text_search(search: ImageSearch, what: str, text: str) -> None:
    with stopwatch() as watch:
        hits = search.by_text(text, LIMIT)
    title(what, f"clip-search {quoted(text)} --limit {LIMIT}", watch)
    show_found(hits)


def image_search(search: ImageSearch, image: Path) -> None:
    with stopwatch() as watch:
        hits = search.by_image(image, LIMIT)
    title("search by image file", f"clip-search --image {quoted(shown(image))} --limit {LIMIT}", watch)
    show_found(hits)


def graphql_query(stage: Stage) -> None:
    query = graphql.near_text(stage.collection, GRAPHQL_TEXT, LIMIT)
    with stopwatch() as watch:
        rows = graphql.ask(stage.endpoints, stage.collection, query)
    title("GraphQL, answered by Weaviate through its multi2vec-clip module", None, watch)
    click.echo(query)
    cells = [(f"{row['_additional']['distance']:.3f}", row[PATH], row[CAPTION] or "") for row in rows]
    show_table(("distance", "path", "caption"), cells)


def classification(search: ImageSearch, images: Path) -> None:
    chosen = samples.to_classify(images)
    labels = samples.names(chosen)
    if len(labels) < 2:
        title("zero-shot classification", None)
        click.echo("left out: the images have neither captions nor folders to take two labels from")
        return
    with stopwatch() as watch:
        results = list(search.classify([image.file for image in chosen], labels))
    templates = default_templates(labels[0], search.info.model)
    title(f"zero-shot classification, {len(templates)} prompts a label, averaged", None, watch)
    click.echo(f"prompts: {' · '.join(template.format(labels[0]) for template in templates[:3])} · ...")
    cells = [
        (image.key, each.label, f"{each.score:.2f}", each.runner_up)
        for image, each in zip(chosen, results, strict=True)
    ]
    show_table(("path", "label", "score", "runner-up"), cells)


def show_found(hits: list[Hit]) -> None:
    show_table(("similarity", "path", "caption"), [(f"{hit.similarity:.3f}", hit.path, hit.caption) for hit in hits])
