"""The command `clip-search`."""

import click

from clip_vectorizer.commands import FriendlyErrors
from clip_vectorizer.connection import vectorizer_key_option, vectorizer_option, weaviate_options
from clip_vectorizer.query.cli.found import Details, show_as_json, show_for_people
from clip_vectorizer.query.cli.options import collection_option, json_option, tenant_option
from clip_vectorizer.query.hits import Group
from clip_vectorizer.query.output import prepare_streams
from clip_vectorizer.query.search import MAX_LIMIT, ImageSearch


@click.command("clip-search", cls=FriendlyErrors)
@click.argument("text", nargs=-1)
@click.option("--image", type=click.Path(), help="Search with this image file instead of a text.")
@click.option("--limit", type=click.IntRange(1, MAX_LIMIT), default=10, show_default=True, help="Most results.")
@json_option
@collection_option
@tenant_option
@weaviate_options
@vectorizer_option
@vectorizer_key_option
def main(
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
    found = [Group("", tuple(hits))]
    if as_json:
        show_as_json(found, Details())
    else:
        show_for_people(found, Details(), None)
