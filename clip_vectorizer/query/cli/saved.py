"""`--saved NAME`: a search that was saved in the page of `clip-gallery`, as options of `clip-search`."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qsl

import click

from clip_vectorizer.cli_common import Values
from clip_vectorizer.query.cli.address_options import (
    FLAGS,
    ONE,
    PARTITION,
    QUERY,
    SEVERAL,
    TEXT,
    UPLOAD,
    list_options,
    list_values,
)
from clip_vectorizer.query.saved_searches import SavedSearch, SavedSearches, find_searches_file

PAGE_SIZE = 40  # of the page: a search that has no limit prints as many
OWN = (TEXT, UPLOAD, *PARTITION, *SEVERAL, *ONE, *FLAGS)  # the parameters that clip-search has an option for


def open_saved(file: Path | None) -> SavedSearches:
    """`file`: of --searches, None for the user's own."""
    return SavedSearches(file or find_searches_file(os.environ))


def expand_saved(
    values: Values, options: Sequence[click.Parameter], takes: Collection[str], parse: Callable[[list[str]], Values]
) -> tuple[Values, SavedSearch]:
    """Return the parameters of the same command with the saved search in place of --saved, checked by its rules.

    `options`: of the command; `takes`: the names of those that may be given beside --saved; `parse`: from its
    arguments to its parameters. Raises InputError, click.UsageError.
    """
    saved = open_saved(values["searches_file"]).find(values["saved"])
    pairs = parse_qsl(saved.address)
    given = list(list_given(values, options, takes))
    has_limit = list_values(pairs, "limit") or values["limit"] is not None
    limit = [] if has_limit or not any(name in QUERY for name, _ in pairs) else [f"--limit={PAGE_SIZE}"]
    kept = [pair for pair in pairs if pair[0] != "limit"] if values["limit"] is not None else pairs
    place = [f"--{name}={value}" for name in PARTITION for value in list_values(pairs, name)[-1:]]
    return parse([*given, *limit, *place, *list_options(kept)]), saved


def list_given(values: Values, options: Sequence[click.Parameter], takes: Collection[str]) -> Iterator[str]:
    """Yield the options of `takes` that differ from their defaults, as words of a command line."""
    for option in options:
        if isinstance(option, click.Option) and not {*option.opts, *option.secondary_opts}.isdisjoint(takes):
            value, name = values[str(option.name)], max(option.opts, key=len)
            if option.is_flag:
                yield from [name] if value else option.secondary_opts[:1] if value is False else []
            elif value != option.default and value not in (None, ()):
                yield from (f"{name}={each}" for each in (value if option.multiple else (value,)))


def list_left_out(saved: SavedSearch) -> list[str]:
    """Return the parameters that only the page has: labels and how they are shown."""
    return list(dict.fromkeys(name for name, _ in parse_qsl(saved.address) if name not in OWN))
