"""What `clip-search` does: search, explain, list images or compare strings, then print."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.defaults import STDIN
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.choices import PROPERTY_MARK
from clip_vectorizer.query.cli.search_output import (
    show_as_json,
    show_distances,
    show_for_people,
    show_list,
    show_list_as_json,
    show_paths,
    write_sheet,
)
from clip_vectorizer.query.cli.search_request import (
    ListCommandRequest,
    SearchCommandRequest,
    StringSearchRequest,
    build_request,
)
from clip_vectorizer.query.display.tables import prepare_streams, print_output
from clip_vectorizer.query.explain import Explanation
from clip_vectorizer.query.hits import Group
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.near_strings import similar_strings
from clip_vectorizer.query.property_values import list_property_values
from clip_vectorizer.query.search.arguments import SearchArguments


def run(values: Mapping[str, Any]) -> None:
    """`values`: the command's parameters. Raises what connecting and searching raise."""
    prepare_streams()
    match build_request(values):
        case StringSearchRequest() as request:
            compare_strings(request, values)
        case ListCommandRequest() as request:
            with open_search(values) as images:
                list_images(images, request)
        case SearchCommandRequest() as request:
            with open_search(values) as images:
                if request.explain:
                    print_output(str(explain(images, request)))
                    return
                sections = search(images, request)
            show(sections, request, values["collection"])


@contextmanager
def open_search(values: Mapping[str, Any]) -> Iterator[ImageSearch]:
    with ImageSearch.connect(
        values["weaviate_url"],
        grpc_port=values["weaviate_grpc_port"],
        api_key=values["weaviate_api_key"],
        vectorizer_url=values["vectorizer_url"],
        collection=values["collection"],
        vectorizer_api_key=values["vectorizer_api_key"],
        tenant=values["tenant"],
        consistency_level=values["consistency"],
    ) as images:
        yield images


def search(images: ImageSearch, request: SearchCommandRequest) -> list[Group]:
    """The groups; without --group-by a single one that holds all hits."""
    if request.group_by is None:
        return [Group("", tuple(images.find(request.query, **request.arguments)))]
    groups, arguments = split_group_arguments(request)
    return images.groups(request.query, request.group_by, request.per_group, groups, **arguments)


def explain(images: ImageSearch, request: SearchCommandRequest) -> Explanation:
    if request.group_by is None:
        return images.explain(request.query, **request.arguments)
    groups, arguments = split_group_arguments(request)
    return images.explain_groups(request.query, request.group_by, request.per_group, groups, **arguments)


def split_group_arguments(request: SearchCommandRequest) -> tuple[int, SearchArguments]:
    """With --group-by, --limit counts groups."""
    arguments = request.arguments.copy()
    return arguments.pop("limit"), arguments


def list_images(images: ImageSearch, request: ListCommandRequest) -> None:
    """JSON lines and paths are printed as they come."""
    fields = request.fields
    every = images.iterate(
        after=request.after,
        filters=request.filters or None,
        return_properties=fields.properties,
        include_vector=fields.vector,
        include_thumbnail=fields.thumbnail,
    )
    listed = islice(every, request.limit)
    if request.as_json:
        show_list_as_json(listed, fields)
    elif request.nul:
        show_paths(listed)
    else:
        show_list(listed, fields)


def show(sections: Sequence[Group], request: SearchCommandRequest, collection: str) -> None:
    hits = [hit for section in sections for hit in section.hits]
    if not hits:
        click.echo(f"nothing found: {request.why_nothing}", err=True)
    if request.html:
        write_sheet(request.html, request.title, collection, sections, request.fields.group)
    elif request.as_json:
        show_as_json(sections, request.fields)
    elif request.nul:
        show_paths(hits)
    elif hits:
        show_for_people(sections, request.fields, request.thumbnails)


def compare_strings(request: StringSearchRequest, values: Mapping[str, Any]) -> None:
    """Prints the strings with the least edit distance to the text, nearest first. Raises InputError."""
    strings = read_strings(request.source, values)
    if not strings:
        raise InputError(f"--similar-strings {request.source}: no strings in it; expected one per line")
    show_distances(similar_strings(request.text, strings, request.limit), request.as_json)


def read_strings(source: str, values: Mapping[str, Any]) -> list[str]:
    """The lines of a file, or the values of a property: the only case that connects to Weaviate."""
    if not source.lower().startswith(PROPERTY_MARK):
        return read_text_lines(source)
    name, url = source[len(PROPERTY_MARK) :], values["weaviate_url"]
    with connect_weaviate(url, values["weaviate_grpc_port"], values["weaviate_api_key"]) as client:
        return list_property_values(client, url, name, values["collection"], values["tenant"])


def read_text_lines(source: str) -> list[str]:
    """Lines that are not blank. Only line feeds end a line: file names may hold other separators."""
    try:
        text = (sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--similar-strings {source}: {error}; name a UTF-8 text file with one string per line, "
            "- for standard input, or PROPERTY:label"
        ) from error
    return [line for line in (each.removesuffix("\r") for each in text.split("\n")) if line.strip()]
