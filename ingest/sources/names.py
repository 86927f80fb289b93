"""What a file is by its name, which names count, and how a name becomes part of a key."""

import os
from collections.abc import Sequence

from pathspec import GitIgnoreSpec

from clip_vectorizer.errors import InputError
from ingest.items import Fate, Outcome
from ingest.sources.base import SourceOptions
from ingest.sources.kinds import EXTENSIONS

ENTRIES = EXTENSIONS  # pictures and PDF files: what `expand` makes items of
TAR_FILES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ARCHIVES = (*TAR_FILES, ".zip")
TABLES = (".csv", ".tsv", ".ndjson", ".jsonl", ".parquet")


def extension(name: str) -> str:
    """In lower case, with its dot; "" for a name without one."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path a file is slow for a million files


def is_entry(name: str) -> bool:
    return extension(name) in ENTRIES


def is_archive(name: str) -> bool:
    return name.lower().endswith(ARCHIVES)


def is_table(name: str) -> bool:
    return name.lower().endswith(TABLES)


def sound(key: str) -> str:
    """With what is no UTF-8 written in ASCII, so that it can at least be shown."""
    return key.encode("utf-8", "backslashreplace").decode("utf-8")


def not_utf8(key: str, source: str, what: str = "the file's name") -> Outcome | None:
    """The failure of a key that cannot be sent, nor be part of a UUID; None where the key is sound."""
    try:
        key.encode("utf-8")
        return None
    except UnicodeEncodeError:
        return Outcome(sound(key), Fate.FAILED, f"{what} is not UTF-8; rename it", source)


class Names:
    """Which files and folders count. Paths are relative to the source, with forward slashes."""

    def __init__(self, options: SourceOptions) -> None:
        """Raises InputError for a pattern that means nothing."""
        self._hidden = options.hidden
        self._ignored = ignore_spec(options.ignore) if options.ignore else None

    def count_name(self, name: str) -> bool:
        return self._hidden or not name.startswith(".")

    def count_path(self, path: str) -> bool:
        """Whether no pattern is against it. The path of a folder ends with a slash."""
        return self._ignored is None or not self._ignored.match_file(path)

    def count_all(self, path: str) -> bool:
        """For a path of which no parent was asked for."""
        shown = self._hidden or not any(part.startswith(".") and part.strip(".") for part in path.split("/"))
        return shown and self.count_path(path)


def ignore_spec(patterns: Sequence[str]) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise InputError(f"--ignore: {error}; write patterns as in a .gitignore file, for example '*.tmp'") from error
