"""The command `clip-classify`."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.connection import vectorizer_key_option, vectorizer_option, weaviate_options
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.cli.classified import show_classifications
from clip_vectorizer.query.cli.options import collection_option, json_option, tenant_option
from clip_vectorizer.query.output import prepare_streams
from clip_vectorizer.query.prompts import PROMPTS, templates_named
from clip_vectorizer.query.search import ImageSearch

SOME_FAILED = 3
LABELS_FROM_FILE = "@"


@click.command("clip-classify", cls=FriendlyErrors)
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
def main(
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
