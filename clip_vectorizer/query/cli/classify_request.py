"""One run of `clip-classify`, read from its options and checked. Reads files of labels and prompts only."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.adapt.boosts import few_shot, linear_probe, remove_means
from clip_vectorizer.query.prompts import read_lines, select_prompt_set
from clip_vectorizer.query.zeroshot.arguments import ClassifyArguments
from clip_vectorizer.query.zeroshot.scores import Boost

QUERY_LIMIT = 10  # images of --query, without --limit
FILE_MARK = "@"
# A name in quotes, or everything before the next comma; two of the commas are Chinese.
LABEL_NAME = re.compile('\\s*"([^"]*)"\\s*(?=[,\uff0c\u3001]|$)|[^,\uff0c\u3001]*')
TABLE_SEPARATORS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True, slots=True)
class ClassifyRequest:
    """`files`, else the hits of `query`, else the whole collection."""

    labels: tuple[str, ...]
    arguments: ClassifyArguments
    files: tuple[str, ...]
    query: str | None
    where: tuple[str, ...]
    limit: int | None
    threshold_folder: Path | None  # choose the threshold by its images
    as_json: bool

    @property
    def needs_collection(self) -> bool:
        """Files need one only if its images help to judge them."""
        return not self.files or self.arguments.get("boost") is not None

    @property
    def why_nothing(self) -> str:
        """A likely reason for no images."""
        if self.where:
            return "no image is left by --where"
        return "--query finds no image" if self.query else "the collection is empty; fill it with `clip-ingest FOLDER`"


def build_request(values: Mapping[str, Any]) -> ClassifyRequest:
    """Raises click.UsageError without labels, InputError for labels or prompts that cannot be used."""
    if not values["labels"] and not values["label_set"]:
        raise click.UsageError("no labels; add --labels A,B,... or --label-set NAME")
    return ClassifyRequest(
        labels=tuple(parse_all_labels(values["labels"])),
        arguments=build_arguments(values),
        files=values["files"],
        query=values["query"],
        where=values["where"],
        limit=values["limit"],
        threshold_folder=values["other_from"],
        as_json=values["as_json"],
    )


def build_arguments(values: Mapping[str, Any]) -> ClassifyArguments:
    arguments = ClassifyArguments(
        prompts=select_prompt_set(values["prompts"], values["templates"] or None),
        label_set=values["label_set"],
        strategy=values["strategy"],
        threshold=None if values["other"] is None else parse_threshold(values["other"]),
        boost=build_boost(values),
        save=values["save"],
    )
    if values["where"] and not values["query"]:
        arguments["filters"] = values["where"]
    return arguments


def parse_threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--other {text}: expected a number such as 0.25") from None


def build_boost(values: Mapping[str, Any]) -> Boost | None:
    if values["few_shot"]:
        return few_shot(values["few_shot"], values["shots"])
    if values["linear_probe"]:
        return linear_probe(values["linear_probe"], values["shots"])
    return remove_means() if values["remove_means"] else None


def parse_all_labels(options: Sequence[str]) -> list[str]:
    """The labels of all `--labels`: comma-separated names, or the lines of a file. Raises InputError."""
    return [label for option in options for label in parse_labels(option)]


def parse_labels(option: str) -> list[str]:
    if not option.startswith(FILE_MARK):
        return split_names(option)
    file = Path(option.removeprefix(FILE_MARK))
    lines = read_lines(file, f"--labels {option}", "one label per line")
    separator = TABLE_SEPARATORS.get(file.suffix.lower())
    if separator and any(separator in line for line in lines):
        raise InputError(f"--labels {option} is a table of several columns; name a text file with one label per line")
    return lines


def split_names(text: str) -> list[str]:
    names, at = [], 0
    while at <= len(text) and (match := LABEL_NAME.match(text, at)):
        names.append(match[0] if match[1] is None else match[1])
        at = match.end() + 1
    return names
