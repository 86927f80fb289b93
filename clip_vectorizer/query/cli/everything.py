"""`clip-search --everything`: the whole collection by Weaviate's cursor, with no search and so no similarity."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

import click

from clip_vectorizer.query.cli.found import Details, show_paths, stored_json
from clip_vectorizer.query.hits import Listed
from clip_vectorizer.query.search import ImageSearch
from clip_vectorizer.query.showing.output import show_json, show_table, value_text

TAKES = ("where", "limit", "after", "as_json", "nul", "properties", "vectors", "thumbnails")
ALWAYS = ("path", "id", "label", "caption")


def show_everything(images: ImageSearch, given: Mapping[str, Any], limit: int | None, details: Details) -> None:
    """All that --where lets through, or `limit` of them; lines of JSON and paths as they come."""
    listed = images.everything(
        given["after"], given["where"] or None, details.properties, details.vector, details.thumbnail
    )
    wanted = islice(listed, limit)
    if given["as_json"]:
        for each in wanted:
            show_json({name: getattr(each, name) for name in ALWAYS} | stored_json(each, details))
    elif given["nul"]:
        show_paths(wanted)
    else:
        show_rows(wanted, details)


def show_rows(listed: Iterable[Listed], details: Details) -> None:
    rows = [[getattr(each, name) for name in ALWAYS] + values(each, details) for each in listed]
    if rows:
        show_table([*ALWAYS, *details.properties], rows)
    else:
        click.echo("nothing there: the collection is empty, or no image is left by --where or --after", err=True)


def values(each: Listed, details: Details) -> list[str]:
    return [value_text(each.properties.get(name)) for name in details.properties]
