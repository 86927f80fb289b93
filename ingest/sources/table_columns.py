"""Which columns of a table are read, and as what."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from clip_vectorizer.errors import InputError
from ingest.sources.base import SourceOptions

# The first of these that a table has is its column of paths, in upper or lower case.
PATHS = (
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "image",
    "image_path",
    "image_url",
    "url",
    "uri",
)
MOST_NAMED = 30


@dataclass(frozen=True, slots=True)
class Chosen:
    path: str
    words: tuple[str | None, str | None]  # label and caption
    used: tuple[str, ...]  # all columns that are read, each once


def choose(columns: Sequence[str], options: SourceOptions) -> Chosen:
    """Raises InputError, which lists the columns, where one is not there."""
    path = named(options.path_column, columns, "--path-column") or usual(PATHS, columns)
    if path is None:
        refuse_broken_names(columns)
        raise InputError(f"none of its columns is called {', '.join(PATHS)}; {has(columns)}; choose by --path-column")
    label = named(options.label_column, columns, "--label-column") or usual(("label",), columns)
    caption = named(options.caption_column, columns, "--caption-column") or usual(("caption",), columns)
    mapped = [named(column.name, columns, "--property") for column in options.columns]
    used = dict.fromkeys(name for name in (path, label, caption, *mapped) if name)
    for name in used:
        if columns.count(name) > 1:
            raise InputError(f"has {columns.count(name)} columns called {name!r}; give them different names")
    return Chosen(path, (label, caption), tuple(used))


def named(name: str | None, columns: Sequence[str], option: str) -> str | None:
    if name is None or name in columns:
        return name
    refuse_broken_names(columns)
    close = get_close_matches(name, columns, n=1)
    meant = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"has no column {name!r}, which {option} names{meant} ({has(columns)})")


def refuse_broken_names(columns: Sequence[str]) -> None:
    """They could not be named on a command line, nor be shown."""
    try:
        "".join(columns).encode()
    except UnicodeEncodeError as error:
        raise InputError("the names of its columns are not UTF-8 text; save it as UTF-8 (Excel: CSV UTF-8)") from error


def usual(names: Sequence[str], columns: Sequence[str]) -> str | None:
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def has(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - MOST_NAMED} more" if len(columns) > MOST_NAMED else ""
    return "it has " + (", ".join(map(repr, columns[:MOST_NAMED])) + more if columns else "none")
