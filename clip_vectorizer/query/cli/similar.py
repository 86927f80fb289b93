"""`clip-search --similar-strings`: the strings nearest to a text, from a file or from a property of the images."""

import sys
from collections.abc import Sequence
from pathlib import Path

from clip_vectorizer.connection import Connection, connect_weaviate
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.values import property_values
from clip_vectorizer.query.lookup import Similar, similar_strings
from clip_vectorizer.query.showing.output import show_json, show_table

STDIN = "-"
PROPERTY = "property:"


def show_similar(
    query: str, source: str, limit: int, as_json: bool, weaviate: Connection, collection: str, tenant: str | None = None
) -> None:
    """Shows the `limit` strings of `source` with the least edit distance to `query`, nearest first.

    `source`: a file of one string a line, `-` for standard input, or `PROPERTY:label` for that property's values, the
    one case in which `weaviate` is asked. Raises InputError for what cannot be read.
    """
    strings = strings_of(source, weaviate, collection, tenant)
    if not strings:
        raise InputError(f"--similar-strings {source}: there is no string in it; expected one a line")
    show(similar_strings(query, strings, limit), as_json)


def strings_of(source: str, weaviate: Connection, collection: str, tenant: str | None) -> list[str]:
    if not source.lower().startswith(PROPERTY):
        return lines_of(source)
    name = source[len(PROPERTY) :]
    with connect_weaviate(weaviate.weaviate_url, weaviate.grpc_port, weaviate.api_key) as client:
        return property_values(client, weaviate.weaviate_url, name, collection, tenant)


def lines_of(source: str) -> list[str]:
    """Those that are not blank. Only line feeds end a line: other separators may stand in a file's name."""
    try:
        text = bytes_of(source).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"--similar-strings {source}: {error}; name a UTF-8 text file with one string a line, "
            "- for standard input, or PROPERTY:label"
        ) from error
    return [line for line in (each.removesuffix("\r") for each in text.split("\n")) if line.strip()]


def bytes_of(source: str) -> bytes:
    return sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()


def show(similar: Sequence[Similar], as_json: bool) -> None:
    if as_json:
        for each in similar:
            show_json({"text": each.text, "distance": each.distance})
        return
    show_table(("distance", "text"), [(str(each.distance), each.text) for each in similar])
