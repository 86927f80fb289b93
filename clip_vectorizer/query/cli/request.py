"""What one `clip-search` was asked, read from its options and checked: nothing here asks anybody."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from clip_vectorizer.query.cli.found import Details, terminal_way
from clip_vectorizer.query.cli.options import GroupedOption
from clip_vectorizer.query.cli.parts import what_of, words_of
from clip_vectorizer.query.searching.asking import Asked, Move
from clip_vectorizer.query.searching.mixture import InCollection, Mixture
from clip_vectorizer.query.showing.thumbnails import Way
from clip_vectorizer.schema import IMAGE, THUMBNAIL

PER_GROUP = 3
STDOUT = Path("-")
NARROWING = ("where", "min_similarity", "auto_limit", "offset")
OUTPUTS = {"as_json": "--json", "nul": "-0", "html": "--html", "explain": "--explain"}
# What an option needs beside it: the options by parameter, the sentence by what is missing.
NEEDS: Sequence[tuple[str, tuple[str, ...], str]] = (
    ("plain", ("text",), "--plain is about TEXT, and there is none"),
    ("force", ("move_to", "move_away"), "--force says how far --move-to or --move-away goes; give one of them"),
    ("per_group", ("group_by",), "--per-group goes with --group-by PROPERTY"),
    ("after", ("everything",), "--after goes with --everything"),
    ("vectors", ("as_json",), "--vectors goes with --json: a table has no room for them"),
)
# What cannot go together, and what to do instead.
EXCLUDES: Sequence[tuple[str, str, str]] = (
    ("nul", "properties", "-0 prints paths and nothing else; take --json to have --property too"),
    ("nul", "thumbnails", "-0 prints paths and nothing else; take --json to have --thumbnails too"),
    ("group_by", "offset", "--group-by has no --offset; raise --limit, the number of groups"),
)


@dataclass(frozen=True, slots=True)
class Request:
    """One search, and how it is to be shown."""

    what: Mixture
    asked: Asked
    title: str  # the question as a person would say it
    details: Details
    group_by: str | None = None
    per_group: int = PER_GROUP
    as_json: bool = False
    nul: bool = False
    html: Path | None = None
    explain: bool = False
    way: Way | None = None  # how the table shows thumbnails

    @property
    def why_nothing(self) -> str:
        """Where the images may be, when none was found."""
        narrowing = [f"--{name.replace('_', '-')}" for name in NARROWING if self.asked.get(name)]
        if narrowing:
            return f"no image is left by {' and '.join(narrowing)}"
        if any(isinstance(source, InCollection) for _, source in self.what.parts):
            return "the collection holds no image but what --like names"
        return "the collection is empty; fill it with `clip-ingest FOLDER`"


def request_of(given: Mapping[str, Any]) -> Request:
    """Raises click.UsageError for options that do not go together, InputError for what cannot be searched with."""
    check_together(given)
    other_output = any(given[parameter] for parameter in OUTPUTS)
    return Request(
        what=what_of(given),
        asked=asked_of(given),
        title=words_of(given),
        details=details_of(given),
        group_by=given["group_by"],
        per_group=given["per_group"] or PER_GROUP,
        as_json=given["as_json"],
        nul=given["nul"],
        html=given["html"],
        explain=given["explain"],
        way=None if other_output else terminal_way(given["thumbnails"]),
    )


def check_together(given: Mapping[str, Any]) -> None:
    chosen = [name for parameter, name in OUTPUTS.items() if given[parameter]]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(chosen)} exclude each other: one output a run")
    for parameter, needed, sentence in NEEDS:
        if given[parameter] and not any(given[each] for each in needed):
            raise click.UsageError(sentence)
    for one, other, sentence in EXCLUDES:
        if given[one] and given[other]:
            raise click.UsageError(sentence)
    if blobs := {IMAGE, THUMBNAIL} & {given["group_by"], *(given["properties"] if not given["as_json"] else ())}:
        raise click.UsageError(f"{blobs.pop()} holds a file's bytes: it is shown by --thumbnails, or with --json alone")
    check_folder(given["html"])


def check_only(context: click.Context, mode: str, options: Sequence[str]) -> None:
    """`mode` searches no images: what is about a search cannot stand beside it. Raises click.UsageError."""
    ours = [option for option in context.command.params if isinstance(option, GroupedOption)]
    others = [option for option in ours if option.name not in options and option.opts[0] != mode]
    given = [option.opts[0] for option in others if said(context, str(option.name))]
    if given:
        names = ", ".join(option.opts[0] for option in ours if option.name in options)
        raise click.UsageError(f"{mode} goes with {names}, not with {', '.join(given)}")


def said(context: click.Context, name: str) -> bool:
    """Whether an option was given, and is not its default."""
    return context.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT)


def check_folder(file: Path | None) -> None:
    """Before the search, not after it."""
    if file is not None and file != STDOUT and not file.absolute().parent.is_dir():
        raise click.UsageError(f"--html {file}: there is no folder {file.parent}; make it first")


def asked_of(given: Mapping[str, Any]) -> Asked:
    """Only what was given, for the search has defaults of its own."""
    same = ("limit", "offset", "min_similarity", "auto_limit", "diversity", "fold", "captions", "properties", "vectors")
    asked: dict[str, Any] = {name: given[name] for name in (*same, "where") if given[name] not in (None, ())}
    force = {} if given["force"] is None else {"force": given["force"]}
    moves = {name: Move(given[name], **force) for name in ("move_to", "move_away") if given[name] is not None}
    return cast(Asked, asked | moves | {"thumbnails": wants_thumbnails(given)})


def wants_thumbnails(given: Mapping[str, Any]) -> bool:
    """Whether they are read at all: they are most of an answer's bytes."""
    if given["html"]:
        return given["thumbnails"] is not False
    if given["as_json"] or given["nul"] or given["explain"]:
        return bool(given["thumbnails"])
    return terminal_way(given["thumbnails"]) is not None


def details_of(given: Mapping[str, Any]) -> Details:
    return Details(
        group=given["group_by"] is not None,
        score=bool(given["captions"]),
        copies=given["fold"],
        properties=given["properties"],
        vector=given["vectors"],
        thumbnail=bool(given["as_json"] and given["thumbnails"]),
    )
