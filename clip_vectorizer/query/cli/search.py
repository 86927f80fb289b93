"""`clip-search`: parse, call, print."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from clip_vectorizer.connection_options import vectorizer_key_option, vectorizer_option, weaviate_options
from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.query.cli.common import GroupedCommand, collection_option, tenant_option
from clip_vectorizer.query.cli.search_actions import LIST_OPTIONS, show_list, show_similar_strings, write_sheet
from clip_vectorizer.query.cli.search_options import consistency_option, search_options
from clip_vectorizer.query.cli.search_output import show_as_json, show_for_people, show_paths
from clip_vectorizer.query.cli.search_request import (
    SearchCommandRequest,
    build_hit_fields,
    build_request,
    check_combination,
    check_mode,
    is_given,
)
from clip_vectorizer.query.display.tables import prepare_streams, print_output
from clip_vectorizer.query.explain import Explanation
from clip_vectorizer.query.hits import Group
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.search.arguments import SearchArguments

HELP = """Find the images nearest to TEXT, to an image, or to several of them added up; best first.

\b
Examples:
  clip-search red apple
  clip-search 草莓 --limit 3 --json
  clip-search "horse + stripes - fruit"
  clip-search --image examples/images/animals/cat.png --where label!=animals
  clip-search --like fruit/red-apple.png --plus green --minus red
  clip-search animal --group-by label --limit 3 --per-group 2
  clip-search fruit --fold --diversity 0.5 --html sheet.html
  clip-search music --captions 0.5 --min-similarity 0.2 --property filename
  clip-search "a red apple" --explain
  clip-search guitar -0 | (cd examples/images && xargs -0 ls -l)

In TEXT, + and - with spaces around them add and take away, 2*stripes counts twice. Similarity is the cosine: between a
text and the right image it is rarely above 0.4. The environment variables below are what `clip-demo up` prints.

\b
Exit codes: 0 also when nothing was found, 1 fatal, 2 usage,
4 Weaviate or its sidecar unreachable, 5 another model made the collection
"""


@click.command("clip-search", cls=GroupedCommand, help=HELP)
@click.argument("text", nargs=-1)
@search_options
@collection_option
@tenant_option
@consistency_option
@weaviate_options
@vectorizer_option
@vectorizer_key_option
@click.pass_context
def main(context: click.Context, /, **given: Any) -> None:
    prepare_streams()
    if given["similar_strings"]:
        run_similar_strings(context)
        return
    if given["everything"]:
        run_list(context)
        return
    request = build_request(given)
    with open_search(given) as images:
        if request.explain:
            print_output(str(run_explain(images, request)))
            return
        sections = run_search(images, request)
    show_sections(sections, request, given["collection"])


@contextmanager
def open_search(given: Mapping[str, Any]) -> Iterator[ImageSearch]:
    with ImageSearch.connect(
        given["weaviate_url"],
        given["weaviate_grpc_port"],
        given["weaviate_api_key"],
        given["vectorizer_url"],
        given["collection"],
        given["vectorizer_api_key"],
        given["tenant"],
        given["consistency"],
    ) as images:
        yield images


def run_similar_strings(context: click.Context) -> None:
    check_mode(context, "--similar-strings", ("limit", "as_json"))
    given = context.params
    if not given["text"]:
        raise click.UsageError("--similar-strings compares strings with TEXT: say one")
    weaviate = ConnectionSettings(given["weaviate_url"], given["weaviate_grpc_port"], given["weaviate_api_key"])
    words, source = " ".join(given["text"]), given["similar_strings"]
    show_similar_strings(
        words, source, given["limit"], given["as_json"], weaviate, given["collection"], given["tenant"]
    )


def run_list(context: click.Context) -> None:
    check_mode(context, "--everything", LIST_OPTIONS)
    given = context.params
    if given["text"]:
        raise click.UsageError("--everything lists without a search; leave TEXT away, or --everything")
    check_combination(given)
    limit = given["limit"] if is_given(context, "limit") else None
    with open_search(given) as images:
        show_list(images, given, limit, build_hit_fields(given))


def run_search(images: ImageSearch, request: SearchCommandRequest) -> list[Group]:
    """Its groups; without --group-by a single one that holds all."""
    if request.group_by is None:
        return [Group("", tuple(images.find(request.what, **request.asked)))]
    groups, asked = split_group_arguments(request)
    return images.groups(request.what, request.group_by, request.per_group, groups, **asked)


def run_explain(images: ImageSearch, request: SearchCommandRequest) -> Explanation:
    if request.group_by is None:
        return images.explain(request.what, **request.asked)
    groups, asked = split_group_arguments(request)
    return images.explain_groups(request.what, request.group_by, request.per_group, groups, **asked)


def split_group_arguments(request: SearchCommandRequest) -> tuple[int, SearchArguments]:
    """--limit counts groups here."""
    asked = request.asked.copy()
    return asked.pop("limit"), asked


def show_sections(sections: Sequence[Group], request: SearchCommandRequest, collection: str) -> None:
    found = any(section.hits for section in sections)
    if not found:
        click.echo(f"nothing found: {request.why_nothing}", err=True)
    if request.html:
        write_sheet(request.html, request.title, collection, sections, request.details.group)
    elif request.as_json:
        show_as_json(sections, request.details)
    elif request.nul:
        show_paths(hit for section in sections for hit in section.hits)
    elif found:
        show_for_people(sections, request.details, request.way)
