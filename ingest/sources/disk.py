"""A folder on disk, listed while it is walked: the same files in the same order every time.

One file on disk as an entry, with what lies beside it.

A quoted pattern of the shell: photos/**/*.jpg
"""

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from clip_vectorizer.errors import InputError
from ingest.items import Facts, ItemOutcome, Status
from ingest.sources.annotations import (
    CAPTION_SUFFIX,
    METADATA_SUFFIX,
    Annotation,
    AnnotationIndex,
    Annotations,
    list_fact_options,
    list_stems,
    read_facts,
)
from ingest.sources.base import FileEntry, SkippedFile, SourceOptions, is_settled, make_stamp
from ingest.sources.entries import (
    ENTRY_EXTENSIONS,
    Listing,
    ListingEntry,
    NameFilter,
    check_source_name,
    check_utf8,
    escape_non_utf8,
    is_archive,
    is_entry,
    is_table,
)
from ingest.sources.reading import open_regular

MAGIC_CHARACTERS = re.compile(r"[*?[]")
ANY_DEPTH = "**"

FolderFilter = Callable[[str], Callable[[str], bool]]  # given a folder: which of its names count


def open_folder(folder: str, options: SourceOptions) -> Listing:
    """The images and PDF files under `folder`, sorted by key. Raises InputError where there are none."""
    root = check_source_name(os.path.abspath(folder))  # noqa: PTH100 - not resolve(): the label is the name the user sees
    listing = Listing(root, partial(walk_folder, root, options, NameFilter(options)), options)
    if all(isinstance(listed, SkippedFile) for listed in listing.entries()):
        looked_for = f"looked for {', '.join(ENTRY_EXTENSIONS)} files"
        raise InputError(f"{folder}: no images in this folder; {looked_for}{suggest_source(listing, options)}")
    return listing


def suggest_source(listing: Listing, options: SourceOptions) -> str:
    """What else may have been meant."""
    for listed in listing.entries():
        if isinstance(listed, SkippedFile) and (is_archive(listed.key) or is_table(listed.key)):
            return f"; it holds {listed.key}: make that a SOURCE"
    return f"; left out was {', '.join(options.ignore)} (--ignore)" if options.ignore else ""


def accept_all(_: str) -> Callable[[str], bool]:
    return lambda name: True


def walk_folder(
    root: str, options: SourceOptions, names: NameFilter, choose: FolderFilter = accept_all
) -> Iterator[ListingEntry]:
    """Depth first, in the order of keys. Links are followed; every real folder is visited once, so a loop ends."""
    walk = FolderWalk(root, options, names, choose)
    open_folders = [walk.folder("")]  # not recursion: folders nest deeper than Python's stack
    while open_folders:
        found = next(open_folders[-1], None)
        if found is None:
            open_folders.pop()
        elif isinstance(found, str):
            open_folders.append(walk.folder(found))
        else:
            yield found


class FolderWalk:
    """One way through a folder. `prefix`: a folder's path below the root, ending with a slash; "" for the root."""

    def __init__(self, root: str, options: SourceOptions, names: NameFilter, choose: FolderFilter) -> None:
        self._root, self._options, self._names, self._choose = root, options, names, choose
        self._base = root.rstrip("/") + "/"
        self._visited: set[tuple[int, int]] = set()

    def folder(self, prefix: str) -> Iterator[ListingEntry | str]:
        """The files of a folder, and the prefixes of the folders in it at the place where they are to be visited."""
        try:
            names = self._names_in(prefix)
        except OSError as error:
            reason = f"folder cannot be read ({error.strerror})"
            yield ItemOutcome(escape_non_utf8(prefix.rstrip("/") or "."), Status.FAILED, reason, self._root)
            return
        chosen, beside = self._choose(prefix), AnnotationIndex(names)
        loose = set(beside.without(filter(is_entry, names))) if beside else set()
        for name in filter(chosen, names):
            if name.endswith("/"):
                yield prefix + name
            elif is_entry(name):
                yield build_file_entry(self._base + prefix + name, prefix + name, self._root, beside, self._options)
            elif name in loose or not beside.has(name):
                yield SkippedFile(escape_non_utf8(prefix + name))

    def _names_in(self, prefix: str) -> list[str]:
        """Sorted, those of folders with a slash at the end, which sorts them as the keys in them."""
        status = os.stat(self._base + prefix)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in self._visited:
            return []
        with os.scandir(self._base + prefix) as entries:
            shown = (entry for entry in entries if self._names.count_name(entry.name))
            names = [entry.name + "/" * is_directory(entry) for entry in shown]
        self._visited.add((status.st_dev, status.st_ino))
        return sorted(name for name in names if self._names.count_path(prefix + name))


def is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def open_file(path: str, options: SourceOptions) -> Listing:
    """A file named by itself is taken whatever its extension. Raises InputError where there is no regular file."""
    path = check_source_name(os.path.abspath(path))  # noqa: PTH100 - not resolve(): the key is the name the user sees
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(f"{path}: not a regular file; pipes and devices are not read")
    return Listing(path, lambda: iter([build_lone_entry(path, os.path.basename(path), path, options)]), options)  # noqa: PTH119


def build_lone_entry(path: str, key: str, source: str, options: SourceOptions) -> ListingEntry:
    """A file whose folder was not listed: its notes are looked for one by one."""
    folder, name = os.path.split(path)
    possible = [stem + kind for stem in list_stems(name) for kind in (CAPTION_SUFFIX, METADATA_SUFFIX)]
    there = [note for note in possible if note != name and os.path.lexists(f"{folder}/{note}")]
    return build_file_entry(path, key, source, AnnotationIndex(there), options)


def build_file_entry(path: str, key: str, source: str, beside: AnnotationIndex, options: SourceOptions) -> ListingEntry:
    """`path` is absolute. Looked at once; neither the file nor its notes are opened."""
    if failure := check_utf8(key, source):
        return failure
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path a file is slow for a million files
    except OSError as error:
        return ItemOutcome(key, Status.FAILED, format_stat_error(path, error), source)
    if not stat.S_ISREG(status.st_mode):
        return SkippedFile(key)
    folder, _, name = path.rpartition("/")
    notes = {
        kind: f"{folder}/{note}"
        for kind in (CAPTION_SUFFIX, METADATA_SUFFIX)
        if beside and (note := beside.of(name, kind))
    }
    label = folder[folder.rfind("/") + 1 :]
    stamp = stamp_files(status, notes, label, options)
    return FileEntry(
        key, source, stamp, partial(open_regular, path), partial(read_facts_on_disk, notes, label, options)
    )


def format_stat_error(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and os.path.islink(path):  # noqa: PTH114
        return "a link to a file that is not there"
    return f"cannot be read ({error.strerror})"


def stamp_files(image: os.stat_result, notes: dict[str, str], label: str, options: SourceOptions) -> str:
    try:
        looks = {kind: os.stat(note) for kind, note in notes.items()}  # noqa: PTH116
    except OSError:
        return ""  # `read_facts_on_disk` will say why
    if not all(is_settled(look.st_mtime_ns) for look in (image, *looks.values())):
        return ""
    seen = [(kind, look.st_size, look.st_mtime_ns) for kind, look in looks.items()]
    return make_stamp("file", image.st_size, image.st_mtime_ns, seen, label, list_fact_options(options))


def read_facts_on_disk(notes: dict[str, str], label: str, options: SourceOptions) -> Facts:
    caption, metadata = (open_annotation(notes.get(kind)) for kind in (CAPTION_SUFFIX, METADATA_SUFFIX))
    return read_facts(Annotations(caption, metadata), label, options)


def open_annotation(path: str | None) -> Annotation | None:
    return Annotation(os.path.basename(path), partial(read_start, path)) if path else None  # noqa: PTH119


def read_start(path: str, length: int) -> bytes:
    with open_regular(path) as file:
        return file.read(length)


def is_glob(word: str) -> bool:
    return MAGIC_CHARACTERS.search(word) is not None


def open_glob(word: str, options: SourceOptions) -> Listing:
    """The images that a pattern matches, with keys relative to the part of it before the first magic character.

    `*` and `?` match within a name, and a leading dot only where the pattern has it too or hidden files count; `**`
    is any number of folders, at the end all files in them. Raises InputError where nothing matches.
    """
    base, parts = split_pattern(word)
    pattern = GlobPattern(parts, options.hidden)
    shown = replace(options, hidden=True)  # of names with a dot the pattern decides
    entries = partial(walk_folder, base, options, NameFilter(shown), pattern.choose)
    check_matches(word, entries() if os.path.isdir(base) else iter(()))  # noqa: PTH112
    return Listing(base, entries, options)


def list_matches(word: str, options: SourceOptions) -> list[str]:
    """The files that a pattern of archives or tables matches. Raises InputError where there are none."""
    base, parts = split_pattern(word)
    shown = NameFilter(replace(options, hidden=True))
    listed = walk_folder(base, options, shown, GlobPattern(parts, options.hidden).choose)
    if found := [f"{base}/{each.key}" for each in listed if isinstance(each, SkippedFile)]:
        return found
    raise InputError(f"{word}: no file matches this pattern")


def split_pattern(word: str) -> tuple[str, list[str]]:
    """The absolute folder that is named in plain letters, and the parts of the pattern below it."""
    parts = word.split("/")
    first = next(number for number, part in enumerate(parts) if is_glob(part))
    below = [part for part in parts[first:] if part not in ("", ".")]
    if ".." in below:
        raise InputError(f"{word}: `..` cannot come after the first *, ? or [; name the folder itself")
    return check_source_name(os.path.abspath("/".join([*parts[:first], ""]))), below  # noqa: PTH100


def check_matches(word: str, entries: Iterator[object]) -> None:
    found = next(entries, None)
    if found is None:
        raise InputError(f"{word}: no file matches this pattern; `**` stands for folders of any depth")
    if isinstance(found, SkippedFile) and all(isinstance(each, SkippedFile) for each in entries):
        raise InputError(f"{word}: no image matches this pattern; looked for {', '.join(ENTRY_EXTENSIONS)} files")


class GlobPattern:
    """Parts of a pattern against parts of a path, from left to right.

    After some parts of a path the pattern may be at several of its own places, for ** may take any number of them.
    """

    def __init__(self, parts: Sequence[str], hidden: bool) -> None:
        parts = [*parts, "*"] if parts[-1] == ANY_DEPTH else parts
        self._parts = [None if part == ANY_DEPTH else compile_part(part, hidden) for part in parts]
        self._deeper = compile_part("*", hidden)  # what ** stands for

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


def compile_part(part: str, hidden: bool) -> Callable[[str], bool]:
    match = re.compile(fnmatch.translate(part)).match
    dotted = hidden or part.startswith(".")
    return lambda name: (dotted or not name.startswith(".")) and match(name) is not None
