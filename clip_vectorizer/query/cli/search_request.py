"""One run of `clip-search`, read from its options and checked. No I/O here, except for query files."""

import functools
import operator
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
import numpy as np

from clip_vectorizer.database.schema import IMAGE, THUMBNAIL
from clip_vectorizer.defaults import STDIN
from clip_vectorizer.errors import InputError
from clip_vectorizer.public_urls import mask_user
from clip_vectorizer.query.choices import ALL_REGIONS
from clip_vectorizer.query.display.tables import is_terminal
from clip_vectorizer.query.display.thumbnails import DrawingMethod, choose_method
from clip_vectorizer.query.image_inputs import hide_secrets, read_limited
from clip_vectorizer.query.search.arguments import Move, SearchArguments
from clip_vectorizer.query.search.query import Query, StoredPart

STDOUT = Path("-")
LIMIT = 10
FILTER_OPTIONS = {
    "filters": "--where", "min_similarity": "--min-similarity", "auto_limit": "--auto-limit", "offset": "--offset",
}  # fmt: skip
NO_QUERY = "nothing to search with; add TEXT, --image FILE, --like PATH, --vector FILE.npy, --plus or --minus TEXT"


@dataclass(frozen=True, slots=True)
class HitFields:
    """Optional fields to print for a hit."""

    group: bool = False
    score: bool = False
    copies: bool = False
    properties: tuple[str, ...] = ()
    vector: bool = False
    thumbnail: bool = False
    regions: bool = False


@dataclass(frozen=True, slots=True)
class SearchCommandRequest:
    """One search, and how its hits are printed."""

    query: Query
    arguments: SearchArguments
    title: str  # the query in words
    fields: HitFields
    group_by: str | None = None
    per_group: int = 3
    as_json: bool = False
    nul: bool = False
    html: Path | None = None
    explain: bool = False
    thumbnails: DrawingMethod | None = None  # how a terminal shows them

    @property
    def why_nothing(self) -> str:
        """A likely reason for no hits."""
        used = [option for name, option in FILTER_OPTIONS.items() if self.arguments.get(name)]
        if used:
            return f"no image is left by {' and '.join(used)}"
        if any(isinstance(part, StoredPart) for _, part in self.query.parts):
            return "the collection holds no image other than those of --like and --unlike"
        return "the collection is empty; fill it with `clip-ingest FOLDER`"


@dataclass(frozen=True, slots=True)
class ListCommandRequest:
    """`--list`: every image, or those that match."""

    filters: tuple[str, ...]
    after: str | None
    limit: int | None  # None: all
    fields: HitFields
    as_json: bool
    nul: bool
    newest: bool = False  # those that were stored last


@dataclass(frozen=True, slots=True)
class StringSearchRequest:
    """`--similar-strings`: `source` is a file, `-`, or `PROPERTY:name`."""

    text: str
    source: str
    limit: int
    as_json: bool


def build_request(
    values: Mapping[str, Any], more: Sequence[Query] = ()
) -> SearchCommandRequest | ListCommandRequest | StringSearchRequest:
    """`more`: parts of the query beside those of the options.

    Raises click.UsageError for options that do not work together, InputError for a query that cannot be used."""
    if values["similar_strings"]:
        text = " ".join(values["text"])
        return StringSearchRequest(text, values["similar_strings"], values["limit"] or LIMIT, values["as_json"])
    check_blobs(values)
    check_folder(values["html"])
    if values["list_all"]:
        fields = build_hit_fields(values)
        return ListCommandRequest(
            values["where"],
            values["after"],
            values["limit"],
            fields,
            values["as_json"],
            values["nul"],
            values["newest"],
        )
    return SearchCommandRequest(
        query=parse_query(values, more),
        arguments=build_arguments(values),
        title=format_title(values),
        fields=build_hit_fields(values),
        group_by=values["group_by"],
        per_group=values["per_group"],
        as_json=values["as_json"],
        nul=values["nul"],
        html=values["html"],
        explain=values["explain"],
        thumbnails=None if has_other_output(values) else choose_thumbnail_method(values["thumbnails"]),
    )


def has_other_output(values: Mapping[str, Any]) -> bool:
    """Whether hits are printed in another way than as a table."""
    return any(values[name] for name in ("as_json", "nul", "html", "explain"))


def check_blobs(values: Mapping[str, Any]) -> None:
    shown = () if values["as_json"] else values["properties"]
    if blobs := {IMAGE, THUMBNAIL} & {values["group_by"], *shown}:
        raise click.UsageError(f"{blobs.pop()} holds a file's bytes: it is shown by --thumbnails, or with --json alone")


def check_folder(file: Path | None) -> None:
    """Before the search, not after it."""
    if file is not None and file != STDOUT and not file.absolute().parent.is_dir():
        raise click.UsageError(f"--html {file}: there is no folder {file.parent}; create it first")


def build_arguments(values: Mapping[str, Any]) -> SearchArguments:
    """Only what was given: the search has defaults of its own."""
    names = {
        "offset": "offset", "min_similarity": "min_similarity", "auto_limit": "auto_limit", "diversity": "diversity",
        "dedupe": "deduplicate", "properties": "return_properties", "vectors": "include_vector", "where": "filters",
    }  # fmt: skip
    arguments: dict[str, Any] = {
        name: values[option] for option, name in names.items() if values[option] not in (None, ())
    }
    if values["captions"] is not None:
        arguments["alpha"] = 1 - values["captions"]
    moves = {name: Move(values[name], values["force"]) for name in ("move_to", "move_away") if values[name] is not None}
    more = {"limit": values["limit"] or LIMIT, "include_thumbnail": needs_thumbnails(values)}
    more |= {"regions": values["regions"] == ALL_REGIONS or values["regions"]} if values["regions"] else {}
    return cast(SearchArguments, arguments | moves | more)


def needs_thumbnails(values: Mapping[str, Any]) -> bool:
    """Whether thumbnails are read at all: they are most of a response's bytes."""
    if values["html"]:
        return values["thumbnails"] is not False
    if has_other_output(values):
        return bool(values["thumbnails"])
    return choose_thumbnail_method(values["thumbnails"]) is not None


def choose_thumbnail_method(thumbnails: bool | None) -> DrawingMethod | None:
    """How stdout can show thumbnails, if at all. `thumbnails`: --thumbnails, --no-thumbnails, None: automatic."""
    return choose_method(os.environ, is_terminal(), thumbnails, shutil.get_terminal_size().columns)


def build_hit_fields(values: Mapping[str, Any]) -> HitFields:
    return HitFields(
        group=values["group_by"] is not None,
        score=bool(values["captions"]) or values["regions"] not in (None, ALL_REGIONS),
        copies=values["dedupe"],
        properties=values["properties"],
        vector=values["vectors"],
        thumbnail=bool(values["as_json"] and values["thumbnails"]),
        regions=bool(values["regions"]),
    )


def parse_query(values: Mapping[str, Any], more: Sequence[Query] = ()) -> Query:
    """The sum of all parts. Raises click.UsageError if there is none, InputError for one that cannot be used."""
    parts = [*list_parts(values), *more]
    if not parts:
        raise click.UsageError(NO_QUERY)
    return functools.reduce(operator.add, parts)


def list_parts(values: Mapping[str, Any]) -> Iterator[Query]:
    if values["text"]:
        words = " ".join(values["text"])
        yield Query.text(words) if values["plain"] else Query.parse(words)
    yield from (parse_image(name) for name in values["images"])
    yield from (Query.stored(key) for key in values["like"])
    yield from (-Query.stored(key) for key in values["unlike"])
    yield from (load_vector(name) for name in values["vector_files"])
    yield from (Query.text(words) for words in values["plus"])
    yield from (-Query.text(words) for words in values["minus"])


def parse_image(name: str) -> Query:
    """A file, an address, or - for standard input."""
    if name == STDIN:
        return Query.image(read_stdin())
    scheme, separator, _ = name.partition("://")
    if separator and scheme.lower() not in ("http", "https"):
        raise InputError(f"--image {mask_user(name)}: an address begins with https:// or http://")
    if not separator:
        check_file("--image", name)
    return Query.image(name)


def read_stdin() -> bytes:
    try:
        data = b"" if sys.stdin is None else read_limited(sys.stdin.buffer)
    except InputError as error:
        raise InputError(f"--image -: {error}") from None
    if not data:
        raise InputError("--image -: standard input is closed or empty; send an image file's bytes there")
    return data


def load_vector(name: str) -> Query:
    """A file with (D,), or with (1, D) as a sidecar returns it for one image."""
    check_file("--vector", name)
    try:
        with Path(name).open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
        return Query.vector(array[0] if array.ndim == 2 and len(array) == 1 else array)
    except (OSError, ValueError, InputError) as error:
        raise InputError(f"--vector {name}: {error}; give a file of numpy.save that holds one vector") from error


def check_file(option: str, name: str) -> None:
    if not Path(name).exists():
        raise InputError(f"{option} {name}: no such file")
    if Path(name).is_dir():
        raise InputError(f"{option} {name}: a folder; name one file")


def format_title(values: Mapping[str, Any]) -> str:
    """The query in words, for a title."""
    texts = [" ".join(values["text"])] if values["text"] else []
    title = " + ".join(
        [*texts, *map(hide_secrets, values["images"]), *values["like"], *values["vector_files"], *values["plus"]]
    )
    title += "".join(f" - {words}" for words in (*values["unlike"], *values["minus"]))
    title += f", towards {values['move_to']}" if values["move_to"] else ""
    return title + (f", away from {values['move_away']}" if values["move_away"] else "")
