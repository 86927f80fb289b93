"""What one `clip-search` was asked, read from its options and checked: nothing here asks anybody.

What `clip-search` looks for: TEXT, --image, --like, --vector, --plus and --minus, added up.
"""

import functools
import operator
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click
import numpy as np

from clip_vectorizer.database.schema import IMAGE, THUMBNAIL
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.cli.common import GroupedOption
from clip_vectorizer.query.cli.search_output import HitFields, choose_thumbnail_protocol
from clip_vectorizer.query.display.thumbnails import DrawingMethod
from clip_vectorizer.query.image_inputs import read_limited
from clip_vectorizer.query.search.arguments import Move, SearchArguments
from clip_vectorizer.query.search.query import Query, StoredPart, image, stored, text, vector

PER_GROUP = 3
STDOUT = Path("-")
FILTER_OPTIONS = ("where", "min_similarity", "auto_limit", "offset")
OUTPUT_OPTIONS = {"as_json": "--json", "nul": "-0", "html": "--html", "explain": "--explain"}
# What an option needs beside it: the options by parameter, the sentence by what is missing.
REQUIRED_OPTIONS: Sequence[tuple[str, tuple[str, ...], str]] = (
    ("plain", ("text",), "--plain is about TEXT, and there is none"),
    ("force", ("move_to", "move_away"), "--force says how far --move-to or --move-away goes; give one of them"),
    ("per_group", ("group_by",), "--per-group goes with --group-by PROPERTY"),
    ("after", ("everything",), "--after goes with --everything"),
    ("vectors", ("as_json",), "--vectors goes with --json: a table has no room for them"),
)
# What cannot go together, and what to do instead.
EXCLUSIVE_OPTIONS: Sequence[tuple[str, str, str]] = (
    ("nul", "properties", "-0 prints paths and nothing else; take --json to have --property too"),
    ("nul", "thumbnails", "-0 prints paths and nothing else; take --json to have --thumbnails too"),
    ("group_by", "offset", "--group-by has no --offset; raise --limit, the number of groups"),
)
STDIN = "-"
NO_QUERY = "say what to search with: TEXT, --image FILE, --like PATH, --vector FILE.npy, --plus or --minus TEXT"


@dataclass(frozen=True, slots=True)
class SearchCommandRequest:
    """One search, and how it is to be shown."""

    what: Query
    asked: SearchArguments
    title: str  # the question as a person would say it
    details: HitFields
    group_by: str | None = None
    per_group: int = PER_GROUP
    as_json: bool = False
    nul: bool = False
    html: Path | None = None
    explain: bool = False
    way: DrawingMethod | None = None  # how the table shows thumbnails

    @property
    def why_nothing(self) -> str:
        """Where the images may be, when none was found."""
        narrowing = [f"--{name.replace('_', '-')}" for name in FILTER_OPTIONS if self.asked.get(name)]
        if narrowing:
            return f"no image is left by {' and '.join(narrowing)}"
        if any(isinstance(source, StoredPart) for _, source in self.what.parts):
            return "the collection holds no image but what --like names"
        return "the collection is empty; fill it with `clip-ingest FOLDER`"


def build_request(given: Mapping[str, Any]) -> SearchCommandRequest:
    """Raises click.UsageError for options that do not go together, InputError for what cannot be searched with."""
    check_combination(given)
    other_output = any(given[parameter] for parameter in OUTPUT_OPTIONS)
    return SearchCommandRequest(
        what=parse_query(given),
        asked=build_arguments(given),
        title=format_title(given),
        details=build_hit_fields(given),
        group_by=given["group_by"],
        per_group=given["per_group"] or PER_GROUP,
        as_json=given["as_json"],
        nul=given["nul"],
        html=given["html"],
        explain=given["explain"],
        way=None if other_output else choose_thumbnail_protocol(given["thumbnails"]),
    )


def check_combination(given: Mapping[str, Any]) -> None:
    chosen = [name for parameter, name in OUTPUT_OPTIONS.items() if given[parameter]]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} exclude each other: one output a run")
    for parameter, needed, sentence in REQUIRED_OPTIONS:
        if given[parameter] and not any(given[each] for each in needed):
            raise click.UsageError(sentence)
    for one, other, sentence in EXCLUSIVE_OPTIONS:
        if given[one] and given[other]:
            raise click.UsageError(sentence)
    if blobs := {IMAGE, THUMBNAIL} & {given["group_by"], *(given["properties"] if not given["as_json"] else ())}:
        raise click.UsageError(f"{blobs.pop()} holds a file's bytes: it is shown by --thumbnails, or with --json alone")
    check_folder(given["html"])


def check_mode(context: click.Context, mode: str, options: Sequence[str]) -> None:
    """`mode` searches no images: what is about a search cannot stand beside it. Raises click.UsageError."""
    ours = [option for option in context.command.params if isinstance(option, GroupedOption)]
    others = [option for option in ours if option.name not in options and option.opts[0] != mode]
    given = [option.opts[0] for option in others if is_given(context, str(option.name))]
    if given:
        names = ", ".join(option.opts[0] for option in ours if option.name in options)
        raise click.UsageError(f"{mode} goes with {names}, not with {', '.join(given)}")


def is_given(context: click.Context, name: str) -> bool:
    """Whether an option was given, and is not its default."""
    return context.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT)


def check_folder(file: Path | None) -> None:
    """Before the search, not after it."""
    if file is not None and file != STDOUT and not file.absolute().parent.is_dir():
        raise click.UsageError(f"--html {file}: there is no folder {file.parent}; make it first")


def build_arguments(given: Mapping[str, Any]) -> SearchArguments:
    """Only what was given, for the search has defaults of its own."""
    same = ("limit", "offset", "min_similarity", "auto_limit", "diversity", "fold", "captions", "properties", "vectors")
    asked: dict[str, Any] = {name: given[name] for name in (*same, "where") if given[name] not in (None, ())}
    force = {} if given["force"] is None else {"force": given["force"]}
    moves = {name: Move(given[name], **force) for name in ("move_to", "move_away") if given[name] is not None}
    return cast(SearchArguments, asked | moves | {"thumbnails": needs_thumbnails(given)})


def needs_thumbnails(given: Mapping[str, Any]) -> bool:
    """Whether they are read at all: they are most of an answer's bytes."""
    if given["html"]:
        return given["thumbnails"] is not False
    if given["as_json"] or given["nul"] or given["explain"]:
        return bool(given["thumbnails"])
    return choose_thumbnail_protocol(given["thumbnails"]) is not None


def build_hit_fields(given: Mapping[str, Any]) -> HitFields:
    return HitFields(
        group=given["group_by"] is not None,
        score=bool(given["captions"]),
        copies=given["fold"],
        properties=given["properties"],
        vector=given["vectors"],
        thumbnail=bool(given["as_json"] and given["thumbnails"]),
    )


def parse_query(given: Mapping[str, Any]) -> Query:
    """The sum of all parts. Raises click.UsageError where there is none, InputError for one that cannot be used."""
    parts = list(list_parts(given))
    if not parts:
        raise click.UsageError(NO_QUERY)
    return functools.reduce(operator.add, parts)


def list_parts(given: Mapping[str, Any]) -> Iterator[Query]:
    if given["text"]:
        words = " ".join(given["text"])
        yield text(words) if given["plain"] else Query.parse(words)
    yield from (parse_image(name) for name in given["images"])
    yield from (stored(key) for key in given["like"])
    yield from (load_vector(name) for name in given["vectors_of"])
    yield from (text(words) for words in given["plus"])
    yield from (-text(words) for words in given["minus"])


def parse_image(name: str) -> Query:
    """A file, an address, or - for standard input."""
    if name == STDIN:
        return image(read_stdin())
    scheme, separator, _ = name.partition("://")
    if separator and scheme.lower() not in ("http", "https"):
        raise InputError(f"--image {name}: an address begins with https:// or http://")
    if not separator:
        check_file("--image", name)
    return image(name)


def read_stdin() -> bytes:
    try:
        data = b"" if sys.stdin is None else read_limited(sys.stdin.buffer)
    except InputError as error:
        raise InputError(f"--image -: {error}") from None
    if not data:
        raise InputError("--image -: standard input is closed or empty; send an image file's bytes there")
    return data


def load_vector(name: str) -> Query:
    """(D,), or (1, D) as a sidecar answers for one image."""
    check_file("--vector", name)
    try:
        with Path(name).open("rb") as file:
            values = np.lib.format.read_array(file, allow_pickle=False)
        return vector(values[0] if values.ndim == 2 and len(values) == 1 else values)
    except (OSError, ValueError, InputError) as error:
        raise InputError(f"--vector {name}: {error}; give a file of numpy.save that holds one vector") from error


def check_file(option: str, name: str) -> None:
    if not Path(name).exists():
        raise InputError(f"{option} {name}: no such file")
    if Path(name).is_dir():
        raise InputError(f"{option} {name}: a folder; name one file")


def format_title(given: Mapping[str, Any]) -> str:
    """The question in a person's words, for a title."""
    texts = [" ".join(given["text"])] if given["text"] else []
    title = " + ".join([*texts, *given["images"], *given["like"], *given["vectors_of"], *given["plus"]])
    title += "".join(f" - {words}" for words in given["minus"])
    title += f", towards {given['move_to']}" if given["move_to"] else ""
    return title + (f", away from {given['move_away']}" if given["move_away"] else "")
