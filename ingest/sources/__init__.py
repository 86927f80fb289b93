"""Open sources of images: every SOURCE argument of clip-ingest becomes one or more `Source`s."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from clip_vectorizer.defaults import STDIN
from clip_vectorizer.errors import InputError
from ingest.sources.archive import open_archive_on_disk
from ingest.sources.base import Source, SourceOptions
from ingest.sources.disk import is_glob, list_matches, open_file, open_folder, open_glob
from ingest.sources.entries import is_archive, is_table
from ingest.sources.lists import open_list
from ingest.sources.remote import open_remote
from ingest.sources.stdin import open_stdin
from ingest.sources.table import open_table
from ingest.sources.urls import is_url

__all__ = ["open_sources"]


def open_sources(words: Sequence[str], options: SourceOptions, stdin: BinaryIO | None = None) -> list[Source]:
    """Open the sources that `words` name: folders, files, archives, tables, lists, patterns and URLs.

    `-` reads paths from `stdin`, which defaults to the standard input. A pattern may give several sources.
    Raises InputError for a word that does not exist or holds no images.
    """
    if words.count(STDIN) > 1:
        raise InputError("`-` is named twice; the standard input can be read once")
    check_root(options.root)
    return [source for word in words for source in open_word(word, options, stdin)]


def open_word(word: str, options: SourceOptions, stdin: BinaryIO | None) -> Iterator[Source]:
    if not word:
        raise InputError("a SOURCE is empty (an unset variable?); name a folder, `.` for the working directory")
    if word == STDIN:
        yield open_stdin(stdin or read_standard_input(), options)
    elif is_url(word):
        yield open_remote(word, options)
    elif os.path.lexists(word):
        yield open_path(word, options)
    elif is_glob(word) and (is_archive(word) or is_table(word)):
        yield from (open_path(path, options) for path in list_matches(word, options))
    elif is_glob(word):
        yield open_glob(word, options)
    else:
        raise InputError(f"{word}: no such file or folder")


def read_standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("`-`: the standard input is closed; pipe paths into it")
    return sys.stdin.buffer


def check_root(root: str | None) -> None:
    if root is not None and not is_url(root) and not os.path.isdir(root):  # noqa: PTH112
        raise InputError(f"--root {root}: no such folder")


def open_path(path: str, options: SourceOptions) -> Source:
    if os.path.isdir(path):  # noqa: PTH112
        return open_folder(path, options)
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(f"{path}: neither a file nor a folder; links to nothing, pipes and devices are not read")
    if is_archive(path):
        return open_archive_on_disk(path, options)
    if is_table(path):
        return open_table(path, options)
    return open_list(path, options) or open_file(path, options)
