"""The commands `clip-search` and `clip-classify`."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.connection import vectorizer_key_option, vectorizer_option, weaviate_options
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.output import prepare_streams, show_classifications, show_hits
from clip_vectorizer.query.prompts import PROMPTS, templates_named
from clip_vectorizer.query.search import MAX_LIMIT, ImageSearch
from clip_vectorizer.schema import IMAGE_COLLECTION

SOME_FAILED = 3
LABELS_FROM_FILE = "@"

collection_option = click.option("--collection", default=IMAGE_COLLECTION, show_default=True, help="Which images.")
tenant_option = click.option(
    "--tenant", default=None, show_default="none", help="Whose, if the collection has tenants."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


@click.command(cls=FriendlyErrors)
@click.argument("text", nargs=-1)
@click.option("--image", type=click.Path(), help="Search with this image file instead of a text.")
@click.option("--limit", type=click.IntRange(1, MAX_LIMIT), default=10, show_default=True, help="Most results.")
@json_option
@collection_option
@tenant_option
@weaviate_options
@vectorizer_option
@vectorizer_key_option
def search(
    text: tuple[str, ...],
    image: str | None,
    limit: int,
    as_json: bool,
    collection: str,
    tenant: str | None,
    weaviate_url: str,
    weaviate_grpc_port: int,
    weaviate_api_key: str | None,
    vectorizer_url: str,
    vectorizer_api_key: str | None,
) -> None:
    """Find the images nearest to TEXT, or to an image file; best first.

    \b
    Examples:
      clip-search red apple
      clip-search 红苹果 --limit 3
      clip-search --image examples/images/fruit/mango.png --json

    Similarity is the cosine: between a text and the right image it is rarely above 0.4. The environment variables
    below are what `clip-demo up` prints.
    """
    prepare_streams()
    if bool(text) == (image is not None):
        raise click.UsageError("say what to search with: either TEXT or --image FILE")
    with ImageSearch.connect(
        weaviate_url, weaviate_grpc_port, weaviate_api_key, vectorizer_url, collection, vectorizer_api_key, tenant
    ) as images:
        hits = images.by_image(image, limit) if image is not None else images.by_text(" ".join(text), limit)
    show_hits(hits, as_json)


@click.command(cls=FriendlyErrors)
@click.argument("files", nargs=-1, type=click.Path())
@click.option(
    "--labels",
    "label_options",
    multiple=True,
    required=True,
    metavar="A,B,...|@FILE",
    help="What to choose from: names with commas between, or a file of one name a line. May be repeated.",
)
@click.option(
    "--prompts",
    metavar="NAME",
    help=f"A set of prompt templates: {', '.join(PROMPTS)}.  [default: by the label's language and the model]",
)
@click.option("--template", "templates", multiple=True, help="Your own, with {} for the label. May be repeated.")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many images.")
@json_option
@collection_option
@tenant_option
@weaviate_options
@vectorizer_option
@vectorizer_key_option
def classify(
    files: tuple[str, ...],
    label_options: tuple[str, ...],
    prompts: str | None,
    templates: tuple[str, ...],
    limit: int | None,
    as_json: bool,
    collection: str,
    tenant: str | None,
    weaviate_url: str,
    weaviate_grpc_port: int,
    weaviate_api_key: str | None,
    vectorizer_url: str,
    vectorizer_api_key: str | None,
) -> None:
    """Say which of the labels each image shows: FILES, or the whole collection when none are named.

    \b
    Examples:
      clip-classify --labels "mango,red apple,dog" examples/images/fruit/*.png
      clip-classify --labels 苹果,狗,汽车 --limit 5
      clip-classify --labels cat,dog --template "a drawing of a {}" --json

    No training: each label is put into several prompts, their vectors are averaged, and the nearest label wins.
    Exit code 3: some of the files could not be read; each is named on stderr.
    """
    prepare_streams()
    if prompts and templates:
        raise click.UsageError("--prompts and --template exclude each other: name a set, or give your own templates")
    chosen = templates_named(prompts) if prompts else templates or None
    labels = labels_from(label_options)
    with ImageSearch.connect(
        weaviate_url,
        weaviate_grpc_port,
        weaviate_api_key,
        vectorizer_url,
        None if files else collection,
        vectorizer_api_key,
        tenant,
    ) as images:
        failed = show_classifications(images.classify(files or None, labels, chosen, limit), as_json)
    sys.exit(SOME_FAILED if failed else 0)


def labels_from(options: Sequence[str]) -> list[str]:
    """All labels of all `--labels`: comma-separated, or the lines of a file. Raises InputError."""
    return [label for option in options for label in labels_of(option)]


def labels_of(option: str) -> list[str]:
    if not option.startswith(LABELS_FROM_FILE):
        return re.split("[,，、]", option)  # noqa: RUF001 - the commas of Chinese
    path = Path(option.removeprefix(LABELS_FROM_FILE))
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--labels {option}: {error}; name a UTF-8 text file with one label a line") from error
    return [line for line in lines if line.strip()]
