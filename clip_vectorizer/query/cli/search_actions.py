"""`clip-search --similar-strings`: the strings nearest to a text, from a file or from a property of the images.

`clip-search --everything`: the whole collection by Weaviate's cursor, with no search and so no similarity.

Writes the contact sheet of `clip-search --html`.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.database.connection import ConnectionSettings, connect_weaviate
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.cli.search_output import HitFields, show_paths, stored_fields
from clip_vectorizer.query.cli.search_request import STDOUT
from clip_vectorizer.query.display.contact_sheet import render_contact_sheet
from clip_vectorizer.query.display.tables import format_value, print_json, print_output, print_table
from clip_vectorizer.query.hits import Group, StoredImage
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.near_strings import SimilarString, similar_strings
from clip_vectorizer.query.property_values import list_property_values

STDIN = "-"
PROPERTY_MARK = "property:"
LIST_OPTIONS = ("where", "limit", "after", "as_json", "nul", "properties", "vectors", "thumbnails")
LIST_COLUMNS = ("path", "id", "label", "caption")


def show_similar_strings(
    query: str,
    source: str,
    limit: int,
    as_json: bool,
    weaviate: ConnectionSettings,
    collection: str,
    tenant: str | None = None,
) -> None:
    """Shows the `limit` strings of `source` with the least edit distance to `query`, nearest first.

    `source`: a file of one string a line, `-` for standard input, or `PROPERTY:label` for that property's values, the
    one case in which `weaviate` is asked. Raises InputError for what cannot be read.
    """
    strings = read_strings(source, weaviate, collection, tenant)
    if not strings:
        raise InputError(f"--similar-strings {source}: there is no string in it; expected one a line")
    show_distances(similar_strings(query, strings, limit), as_json)


def read_strings(source: str, weaviate: ConnectionSettings, collection: str, tenant: str | None) -> list[str]:
    if not source.lower().startswith(PROPERTY_MARK):
        return read_text_lines(source)
    name = source[len(PROPERTY_MARK) :]
    with connect_weaviate(weaviate.weaviate_url, weaviate.grpc_port, weaviate.api_key) as client:
        return list_property_values(client, weaviate.weaviate_url, name, collection, tenant)


def read_text_lines(source: str) -> list[str]:
    """Those that are not blank. Only line feeds end a line: other separators may stand in a file's name."""
    try:
        text = read_source(source).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--similar-strings {source}: {error}; name a UTF-8 text file with one string a line, "
            "- for standard input, or PROPERTY:label"
        ) from error
    return [line for line in (each.removesuffix("\r") for each in text.split("\n")) if line.strip()]


def read_source(source: str) -> bytes:
    return sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()


def show_distances(similar: Sequence[SimilarString], as_json: bool) -> None:
    if as_json:
        for each in similar:
            print_json({"text": each.text, "distance": each.distance})
        return
    print_table(("distance", "text"), [(str(each.distance), each.text) for each in similar])


def show_list(images: ImageSearch, given: Mapping[str, Any], limit: int | None, details: HitFields) -> None:
    """All that --where lets through, or `limit` of them; lines of JSON and paths as they come."""
    listed = images.everything(
        given["after"], given["where"] or None, details.properties, details.vector, details.thumbnail
    )
    wanted = islice(listed, limit)
    if given["as_json"]:
        for each in wanted:
            print_json({name: getattr(each, name) for name in LIST_COLUMNS} | stored_fields(each, details))
    elif given["nul"]:
        show_paths(wanted)
    else:
        show_list_table(wanted, details)


def show_list_table(listed: Iterable[StoredImage], details: HitFields) -> None:
    rows = [[getattr(each, name) for name in LIST_COLUMNS] + list_values(each, details) for each in listed]
    if rows:
        print_table([*LIST_COLUMNS, *details.properties], rows)
    else:
        click.echo("nothing there: the collection is empty, or no image is left by --where or --after", err=True)


def list_values(each: StoredImage, details: HitFields) -> list[str]:
    return [format_value(each.properties.get(name)) for name in details.properties]


def write_sheet(file: Path, question: str, collection: str, sections: Sequence[Group], grouped: bool) -> None:
    """To a file, and says so; or to standard output."""
    count = sum(len(section.hits) for section in sections)
    images = f"{count} image{'s' * (count != 1)}"
    pieces = render_contact_sheet(question, f"{images} of the collection {collection}, best first", sections, grouped)
    if file == STDOUT:
        for piece in pieces:
            print_output(piece.encode("utf-8", "backslashreplace"), newline=False)
        return
    try:
        with file.open("w", encoding="utf-8", errors="backslashreplace") as opened:
            opened.writelines(pieces)
    except OSError as error:  # a full disk's own words name no file
        raise OSError(error.errno, error.strerror, str(file)) from error
    click.echo(f"{file}: {images}", err=True)
