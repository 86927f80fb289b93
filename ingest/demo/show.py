"""The demo: ingest a folder, run one example of every kind of search with its time, list commands to try."""

import json
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx

from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.database.schema import CAPTION, PATH, VECTOR
from clip_vectorizer.defaults import IMAGE_COLLECTION, PRODUCTION_MODEL
from clip_vectorizer.errors import InputError, VectorizerError, WeaviateUnreachable
from clip_vectorizer.progress import StepDisplay
from clip_vectorizer.query import Hit, ImageSearch
from clip_vectorizer.query.display.tables import print_table
from clip_vectorizer.query.prompts import default_templates
from ingest.command import progress_on_stderr
from ingest.demo.grounding import SCENE, SENTENCE, TITLE, show_grounding
from ingest.demo.output import format_path, measure_time, print_title, quote_word
from ingest.demo.places import (
    BUNDLED_MODEL,
    Endpoints,
    choose_data_dir,
    read_environment_endpoints,
    read_stack_endpoints,
)
from ingest.demo.state import find_running, list_daemon_files
from ingest.embedded import LocalStack
from ingest.embedded.binary import get_cache_dir
from ingest.items import SourceItem
from ingest.pipeline import ingest
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions
from ingest.store.open import open_store

DEMO_COLLECTION = "ClipDemo"  # in a Weaviate that is not the demo's own, `Image` may hold other data
ENGLISH_TEXT = "a red apple"
CHINESE_TEXT = "草莓"  # strawberry
PHRASE = "something to drink"  # a name of none of the images
GRAPHQL_TEXT = "a guitar"
LIMIT = 3
WIDTH = 80  # columns
QUERY_IMAGE = "animals/cat.png"
HINT_IMAGE, HINT_LABELS = "animals/panda.png", "cat,dog,panda"  # the bundled model says panda
CLASSIFIED_IMAGES = (
    "animals/leopard.png",
    "birds/flamingo.png",
    "drinks/bubble-tea.png",
    "food/ice-cream.png",  # the bundled model takes its kind for another
    "fruit/red-apple.png",
    "insects/lady-beetle.png",
    "musical instruments/guitar.png",
    "vehicles/tractor.png",
)
HINT_THING = "a soccer ball"  # in the scene
GALLERY_HINT = "clip-gallery is a search page in the browser; Ctrl-C ends it."
DRAWN_BOXES = Path("demo") / "grounding.png"  # in the cache folder
CAPTION_GAP = "·"  # between the English and the Chinese name
GRAPHQL_TIMEOUT_SECONDS = 60.0  # Weaviate's own limit for its module is 50


@dataclass(frozen=True, slots=True)
class DemoStack:
    """The stack that the demo uses."""

    endpoints: Endpoints
    collection: str
    is_temporary: bool  # started by the demo, ends with it


@dataclass(frozen=True, slots=True)
class Sample:
    file: Path
    key: str
    label: str
    caption: str


def run_show(model: str | None, images: Path, env: Mapping[str, str]) -> int:
    """Print the demo on stdout and return the exit code of the ingest. Raises StackError and errors of the library.

    `model` None: of the stack that runs, else the bundled one.
    """
    began = time.monotonic()
    with open_demo_stack(model, env) as stack:
        click.echo(f"Weaviate at {stack.endpoints.weaviate_url}, sidecar at {stack.endpoints.vectorizer_url}")
        exit_code = ingest_images(stack, images)
        with connect_search(stack) as search:
            show_text_search(search, "search by text", ENGLISH_TEXT)
            show_text_search(search, "search by Chinese text", CHINESE_TEXT)
            show_text_search(search, "search by a phrase that names nothing", PHRASE)
            show_image_search(search, pick_query_image(images))
            show_graphql_query(stack)
            chosen = pick_images_to_classify(images)
            show_classification(search, chosen, "zero-shot classification", list_label_names(chosen))
            show_classification(search, chosen, "classification by kind", list_folder_names(images))
            show_picture_grounding(search, images, get_cache_dir(env) / DRAWN_BOXES)
    click.echo(f"\nAll of it took {time.monotonic() - began:.1f} s.\n")
    click.echo(format_model_hint(model or BUNDLED_MODEL), nl=False)
    click.echo(format_next_commands(model or BUNDLED_MODEL, images, stack.collection, stack.is_temporary))
    return exit_code


@contextmanager
def open_demo_stack(model: str | None, env: Mapping[str, str]) -> Iterator[DemoStack]:
    """Yield the stack that the environment names, else the one in the background, else a new temporary one.

    Raises InputError if the environment names one and `model` too, unless it is the one in the background.
    """
    wanted = model or BUNDLED_MODEL
    state = find_running(list_daemon_files(env))
    background = state.endpoints if state and state.model == wanted else None
    named = read_environment_endpoints(env)
    if named and not (background and named.weaviate_url == background.weaviate_url):
        if model:
            raise InputError(
                f"--model {model} does not work with WEAVIATE_URL: the sidecar at {named.vectorizer_url} runs already, "
                "with a model of its own; remove --model, or unset WEAVIATE_URL"
            )
        yield DemoStack(named, DEMO_COLLECTION, is_temporary=False)
    elif background:
        yield DemoStack(background, IMAGE_COLLECTION, is_temporary=False)
    else:
        with start_new_stack(wanted, env) as stack:
            yield DemoStack(read_stack_endpoints(stack), IMAGE_COLLECTION, is_temporary=True)


@contextmanager
def start_new_stack(model: str, env: Mapping[str, str]) -> Iterator[LocalStack]:
    with ExitStack() as resources:
        with StepDisplay() as progress:
            stack = resources.enter_context(LocalStack(model, choose_data_dir(model, env), progress))
        yield stack


def ingest_images(stack: DemoStack, images: Path) -> int:
    endpoints = stack.endpoints
    connection = ConnectionSettings(
        endpoints.weaviate_url, endpoints.grpc_port, endpoints.api_key, endpoints.vectorizer_url
    )
    with (
        open_store(connection, stack.collection) as store,
        progress_on_stderr() as listener,
    ):
        report = ingest(open_sources([str(images)], SourceOptions()), store, on_progress=listener)
    print_title("ingest", f"clip-ingest {quote_word(format_path(images))}")
    click.echo(textwrap.fill(f"{report.summary()} -> {stack.collection}, model {store.model.model}", WIDTH))
    return report.exit_code


def connect_search(stack: DemoStack) -> ImageSearch:
    endpoints = stack.endpoints
    return ImageSearch.connect(
        endpoints.weaviate_url,
        grpc_port=endpoints.grpc_port,
        api_key=endpoints.api_key,
        vectorizer_url=endpoints.vectorizer_url,
        collection=stack.collection,
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


def show_graphql_query(stack: DemoStack) -> None:
    query = build_near_text_query(stack.collection, GRAPHQL_TEXT, LIMIT)
    with measure_time() as watch:
        rows = send_graphql_query(stack.endpoints, stack.collection, query)
    print_title("GraphQL, answered by Weaviate through its multi2vec-clip module", None, watch)
    click.echo(query)
    cells = [(f"{row['_additional']['distance']:.3f}", row[PATH], row[CAPTION] or "") for row in rows]
    print_table(("distance", "path", "caption"), cells)


def show_classification(search: ImageSearch, chosen: Sequence[Sample], what: str, labels: Sequence[str]) -> None:
    if len(labels) < 2:
        print_title(what, None)
        click.echo("left out: the images have neither captions nor folders to take two labels from")
        return
    with measure_time() as watch:
        results = list(search.classify([image.file for image in chosen], labels))
    templates = default_templates(labels[0], search.info.model)
    print_title(f"{what}, {len(labels)} labels, {len(templates)} prompts a label, averaged", None, watch)
    click.echo(f"prompts: {' · '.join(template.format(labels[0]) for template in templates[:3])} · ...")
    cells = [
        (image.key, each.label, f"{each.score:.2f}", each.runner_up)
        for image, each in zip(chosen, results, strict=True)
    ]
    print_table(("path", "label", "score", "runner-up"), cells)


def show_picture_grounding(search: ImageSearch, images: Path, target: Path) -> None:
    """Ground a sentence in the scene beside the folder, as the examples have it, else in an image what it is."""
    scene = images.parent / SCENE
    if scene.is_file():
        show_grounding(search, scene, SENTENCE, target)
        return
    [sample] = pick_samples(images, [QUERY_IMAGE], count=1)
    if name := choose_label_name(sample):
        show_grounding(search, sample.file, name, target)
    else:
        print_title(TITLE, None)
        click.echo("left out: the images have neither captions nor folders that name what is in them")


def show_hits(hits: list[Hit]) -> None:
    print_table(("similarity", "path", "caption"), [(f"{hit.similarity:.3f}", hit.path, hit.caption) for hit in hits])


def build_near_text_query(collection: str, text: str, limit: int) -> str:
    """Return a nearText query as a user would type it; Weaviate's own module calls the sidecar."""
    return f"""{{
  Get {{
    {collection}(
      nearText: {{concepts: [{json.dumps(text, ensure_ascii=False)}], targetVectors: ["{VECTOR}"]}}
      limit: {limit}
    ) {{ {PATH} {CAPTION} _additional {{ distance }} }}
  }}
}}"""


def send_graphql_query(endpoints: Endpoints, collection: str, query: str) -> list[dict[str, Any]]:
    """Return the rows of the response. Raises WeaviateUnreachable, and VectorizerError with Weaviate's message."""
    headers = {"Authorization": f"Bearer {endpoints.api_key}"} if endpoints.api_key else {}
    url = f"{endpoints.weaviate_url.rstrip('/')}/v1/graphql"
    try:
        response = httpx.post(
            url, json={"query": query}, headers=headers, timeout=GRAPHQL_TIMEOUT_SECONDS
        ).raise_for_status()
    except httpx.HTTPError as error:
        raise WeaviateUnreachable(f"{url}: {error}") from error
    body = response.json()
    if body.get("errors"):
        raise VectorizerError(f"Weaviate rejects the GraphQL query: {body['errors'][0].get('message')}")
    rows: list[dict[str, Any]] = body["data"]["Get"][collection]
    return rows


def pick_query_image(images: Path) -> Path:
    return pick_samples(images, [QUERY_IMAGE], count=1)[0].file


def pick_images_to_classify(images: Path) -> list[Sample]:
    return pick_samples(images, CLASSIFIED_IMAGES, count=len(CLASSIFIED_IMAGES))


def pick_samples(images: Path, preferred: Sequence[str], count: int) -> list[Sample]:
    """Return the preferred images if all of them exist, else up to `count` at equal steps through the folder."""
    [source] = open_sources([str(images)], SourceOptions())
    items = [result for result in source if isinstance(result, SourceItem)]
    by_key = {item.key: item for item in items}
    if preferred and all(key in by_key for key in preferred):
        return [build_sample(images, by_key[key]) for key in preferred]
    return [build_sample(images, item) for item in items[:: max(1, len(items) // count)][:count]]


def build_sample(images: Path, item: SourceItem) -> Sample:
    facts = item.facts(b"")
    return Sample(images / item.key, item.key, facts.label, facts.caption)


def list_label_names(images: Sequence[Sample]) -> list[str]:
    """Return the labels to choose among, without duplicates: first names of the captions, else folder names."""
    return list(dict.fromkeys(name for image in images if (name := choose_label_name(image))))


def list_folder_names(images: Path) -> list[str]:
    """Return the names of the folders that the images are in, without duplicates."""
    samples = pick_samples(images, (), count=sys.maxsize)
    return list(dict.fromkeys(sample.label for sample in samples if sample.label))


def choose_label_name(image: Sample) -> str:
    if image.caption:
        return " ".join(image.caption.split(CAPTION_GAP)[0].replace(",", " ").split())
    return image.label


def format_model_hint(model: str) -> str:
    """Return a line that names a model for photographs where the bundled one is shown, which is made for drawings."""
    return f"For photographs: --model {PRODUCTION_MODEL}\n\n" if model == BUNDLED_MODEL else ""


def format_next_commands(model: str, images: Path, collection: str, is_temporary: bool) -> str:
    """Return shell lines that work as printed; after a temporary stack they start one in the background."""
    option = "" if collection == IMAGE_COLLECTION else f" --collection {collection}"
    with_model = "" if model == "emoji" else f" --model {shlex.quote(model)}"
    picture = shlex.quote(format_path(pick_query_image(images)))
    classified = shlex.quote(format_path(pick_samples(images, [HINT_IMAGE], count=1)[0].file))
    scene = images.parent / SCENE
    lines = [
        *list_activation_lines(),
        *([f'eval "$(clip-demo up{with_model})"'] if is_temporary else []),
        f'clip-search "red apple"{option}',
        f"clip-search 吉他 --limit 3{option}",
        f"clip-search --image {picture}{option}",
        f'clip-classify --labels "{HINT_LABELS}" {classified}',
        *([f'clip-ground {shlex.quote(format_path(scene))} "{HINT_THING}" --png boxes.png'] if scene.is_file() else []),
        f"clip-ingest ~/Pictures{option}",
        f"clip-gallery{option} --root {shlex.quote(format_path(images))} --open",
        "clip-demo down",
    ]
    return "\n".join(["Try next:", *(f"  {line}" for line in lines), GALLERY_HINT])


def list_activation_lines() -> list[str]:
    """Return the line that puts the commands on PATH, if they are not there."""
    folder = Path(sys.executable).parent
    if (found := shutil.which("clip-search")) and Path(found).parent == folder:
        return []
    if (folder / "activate").is_file():
        return [f". {shlex.quote(format_path(folder / 'activate'))}"]
    return [f'export PATH={shlex.quote(str(folder))}:"$PATH"']
