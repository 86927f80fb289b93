"""Listings of files: names that are collected, keys, and a source made of a function that lists entries."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, Status
from ingest.sources.base import FileEntry, SkippedFile, SourceOptions, SourceResult
from ingest.sources.file_types import FILE_EXTENSIONS, expand_entry

ENTRY_EXTENSIONS = FILE_EXTENSIONS  # what `expand_entry` accepts
TAR_EXTENSIONS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVE_EXTENSIONS = (*TAR_EXTENSIONS, ".zip")
TABLE_EXTENSIONS = (".csv", ".tsv", ".ndjson", ".jsonl", ".parquet")

ListingEntry = FileEntry | ItemOutcome | SkippedFile


@dataclass(frozen=True, slots=True)
class Listing:
    """A source made of a function that lists entries: of a folder, a pattern, an archive, a table or stdin."""

    name: str
    entries: Callable[[], Iterator[ListingEntry]]
    options: SourceOptions

    def __iter__(self) -> Iterator[SourceResult]:
        for listed in self.entries():
            if isinstance(listed, FileEntry):
                yield from expand_entry(listed, self.options)
            else:
                yield listed


def check_source_name(path: str) -> str:
    """Return the path, as a source's name. Raises InputError if it is not UTF-8 and so cannot be stored."""
    try:
        path.encode("utf-8")
        return path
    except UnicodeEncodeError as error:
        raise InputError(
            f"{escape_non_utf8(path)}: the path is not UTF-8 and cannot be stored; rename the folder"
        ) from error


def parse_extension(name: str) -> str:
    """Return the extension in lower case, with its dot; "" for a name without one."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path a file is slow for a million files


def is_entry(name: str) -> bool:
    return parse_extension(name) in ENTRY_EXTENSIONS


def is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVE_EXTENSIONS)


def is_table(name: str) -> bool:
    return name.lower().endswith(TABLE_EXTENSIONS)


def escape_non_utf8(key: str) -> str:
    """Return the key with bytes that are not UTF-8 as ASCII escapes, so that it can be shown."""
    return key.encode("utf-8", "backslashreplace").decode("utf-8")


def check_utf8(key: str, source: str, what: str = "the file's name") -> ItemOutcome | None:
    """Return the failure of a key that is not UTF-8, which can neither be sent nor hashed; None if it is valid."""
    try:
        key.encode("utf-8")
        return None
    except UnicodeEncodeError:
        return ItemOutcome(escape_non_utf8(key), Status.FAILED, f"{what} is not UTF-8; rename it", source)


class NameFilter:
    """Which files and folders are collected: hidden names and `--ignore`. Paths are relative, with forward slashes."""

    def __init__(self, options: SourceOptions) -> None:
        """Raises InputError for an invalid pattern."""
        self._hidden = options.hidden
        self._ignored = parse_ignore_patterns(options.ignore) if options.ignore else None

    def accepts_name(self, name: str) -> bool:
        return self._hidden or not name.startswith(".")

    def accepts_path(self, path: str) -> bool:
        """Whether no --ignore pattern matches. The path of a folder ends with a slash."""
        return self._ignored is None or not self._ignored.match_file(path)

    def accepts(self, path: str) -> bool:
        """Like `accepts_name` and `accepts_path`, for a path whose parent folders were not checked before."""
        visible = self._hidden or not any(part.startswith(".") and part.strip(".") for part in path.split("/"))
        return visible and self.accepts_path(path)


def parse_ignore_patterns(patterns: Sequence[str]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise InputError(f"--ignore: {error}; write patterns as in a .gitignore file, for example '*.tmp'") from error
