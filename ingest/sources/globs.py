"""A quoted pattern of the shell: photos/**/*.jpg"""

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from clip_vectorizer.errors import InputError
from ingest.sources.base import Skipped, SourceOptions
from ingest.sources.folder import list_folder
from ingest.sources.listing import Listing, sound_name
from ingest.sources.names import ENTRIES, Names

MAGIC = re.compile(r"[*?[]")
DEEP = "**"


def is_glob(word: str) -> bool:
    return MAGIC.search(word) is not None


def open_glob(word: str, options: SourceOptions) -> Listing:
    """The images that a pattern matches, with keys relative to the part of it before the first magic character.

    `*` and `?` match within a name, and a leading dot only where the pattern has it too or hidden files count; `**`
    is any number of folders, at the end all files in them. Raises InputError where nothing matches.
    """
    base, parts = split_pattern(word)
    pattern = Pattern(parts, options.hidden)
    shown = replace(options, hidden=True)  # of names with a dot the pattern decides
    entries = partial(list_folder, base, options, Names(shown), pattern.choose)
    refuse_nothing(word, entries() if os.path.isdir(base) else iter(()))  # noqa: PTH112
    return Listing(base, entries, options)


def matches(word: str, options: SourceOptions) -> list[str]:
    """The files that a pattern of archives or tables matches. Raises InputError where there are none."""
    base, parts = split_pattern(word)
    shown = Names(replace(options, hidden=True))
    listed = list_folder(base, options, shown, Pattern(parts, options.hidden).choose)
    if found := [f"{base}/{each.key}" for each in listed if isinstance(each, Skipped)]:
        return found
    raise InputError(f"{word}: no file matches this pattern")


def split_pattern(word: str) -> tuple[str, list[str]]:
    """The absolute folder that is named in plain letters, and the parts of the pattern below it."""
    parts = word.split("/")
    first = next(number for number, part in enumerate(parts) if is_glob(part))
    below = [part for part in parts[first:] if part not in ("", ".")]
    if ".." in below:
        raise InputError(f"{word}: `..` cannot come after the first *, ? or [; name the folder itself")
    return sound_name(os.path.abspath("/".join([*parts[:first], ""]))), below  # noqa: PTH100


def refuse_nothing(word: str, entries: Iterator[object]) -> None:
    found = next(entries, None)
    if found is None:
        raise InputError(f"{word}: no file matches this pattern; `**` stands for folders of any depth")
    if isinstance(found, Skipped) and all(isinstance(each, Skipped) for each in entries):
        raise InputError(f"{word}: no image matches this pattern; looked for {', '.join(ENTRIES)} files")


class Pattern:
    """Parts of a pattern against parts of a path, from left to right.

    After some parts of a path the pattern may be at several of its own places, for ** may take any number of them.
    """

    def __init__(self, parts: Sequence[str], hidden: bool) -> None:
        parts = [*parts, "*"] if parts[-1] == DEEP else parts
        self._parts = [None if part == DEEP else matcher(part, hidden) for part in parts]
        self._deeper = matcher("*", hidden)  # what ** stands for

    def choose(self, prefix: str) -> Callable[[str], bool]:
        """Which names in the folder `prefix` count: files that match, and folders (ending in /) that may hold some."""
        places = self._skipping({0})
        for name in prefix.split("/")[:-1]:
            places = self._after(places, name)
        return lambda name: self._counts(places, name)

    def _counts(self, places: set[int], name: str) -> bool:
        after = self._after(places, name.removesuffix("/"))
        end = len(self._parts)
        return any(place < end for place in after) if name.endswith("/") else end in after

    def _after(self, places: set[int], name: str) -> set[int]:
        after = set[int]()
        for place in places - {len(self._parts)}:
            part = self._parts[place]
            if part is None and self._deeper(name):
                after.add(place)
            elif part is not None and part(name):
                after.add(place + 1)
        return self._skipping(after)

    def _skipping(self, places: set[int]) -> set[int]:
        """With the places behind each **, which may stand for no folder at all."""
        reached = set(places)
        for place in sorted(places):
            while place < len(self._parts) and self._parts[place] is None:
                place += 1
                reached.add(place)
        return reached


def matcher(part: str, hidden: bool) -> Callable[[str], bool]:
    match = re.compile(fnmatch.translate(part)).match
    dotted = hidden or part.startswith(".")
    return lambda name: (dotted or not name.startswith(".")) and match(name) is not None
