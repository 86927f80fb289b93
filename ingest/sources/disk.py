"""Sources on disk: a folder, a single file, or a quoted pattern such as 'photos/**/*.jpg'.

A folder is listed while it is walked: the same files in the same order every time.
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

# Called with a folder's prefix; returns the filter for the names in it.
FolderFilter = Callable[[str], Callable[[str], bool]]


def open_folder(folder: str, options: SourceOptions) -> Listing:
    """List the images and PDF files under `folder`, sorted by key. Raises InputError if there are none."""
    root = check_source_name(os.path.abspath(folder))  # noqa: PTH100 - not resolve(): the label is the name that was typed
    listing = Listing(root, partial(walk_folder, root, options, NameFilter(options)), options)
    if all(isinstance(listed, SkippedFile) for listed in listing.entries()):
        looked_for = f"looked for {', '.join(ENTRY_EXTENSIONS)} files"
        raise InputError(f"{folder}: no images in this folder; {looked_for}{suggest_source(listing, options)}")
    return listing


def suggest_source(listing: Listing, options: SourceOptions) -> str:
    """Return a hint at what may have been meant, for the error of a folder without images."""
    for listed in listing.entries():
        if isinstance(listed, SkippedFile) and (is_archive(listed.key) or is_table(listed.key)):
            return f"; it holds {listed.key}: name that as a SOURCE"
    return f"; excluded were {', '.join(options.ignore)} (--ignore)" if options.ignore else ""


def accept_all(_: str) -> Callable[[str], bool]:
    return lambda name: True


def walk_folder(
    root: str, options: SourceOptions, names: NameFilter, choose: FolderFilter = accept_all
) -> Iterator[ListingEntry]:
    """List depth first, in the order of keys. Follow links; visit every real folder once, so that loops end."""
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
    """One walk through a folder. `prefix`: a folder's path below the root, ending with a slash; "" for the root."""

    def __init__(self, root: str, options: SourceOptions, names: NameFilter, choose: FolderFilter) -> None:
        self._root, self._options, self._names, self._choose = root, options, names, choose
        self._base = root.rstrip("/") + "/"
        self._visited: set[tuple[int, int]] = set()

    def folder(self, prefix: str) -> Iterator[ListingEntry | str]:
        """Yield the files of a folder, and the prefix of every folder in it at the point where it is to be visited."""
        try:
            names = self._names_in(prefix)
        except OSError as error:
            reason = f"folder cannot be read ({error.strerror})"
            yield ItemOutcome(escape_non_utf8(prefix.rstrip("/") or "."), Status.FAILED, reason, self._root)
            return
        accepts, annotations = self._choose(prefix), AnnotationIndex(names)
        unmatched = set(annotations.list_unmatched(filter(is_entry, names))) if annotations else set()
        for name in filter(accepts, names):
            if name.endswith("/"):
                yield prefix + name
            elif is_entry(name):
                yield build_file_entry(
                    self._base + prefix + name, prefix + name, self._root, annotations, self._options
                )
            elif name in unmatched or not annotations.is_annotation(name):
                yield SkippedFile(escape_non_utf8(prefix + name))

    def _names_in(self, prefix: str) -> list[str]:
        """Return the names, sorted; folders end with a slash, which sorts them like the keys of their files."""
        status = os.stat(self._base + prefix)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in self._visited:
            return []
        with os.scandir(self._base + prefix) as entries:
            visible = (entry for entry in entries if self._names.accepts_name(entry.name))
            names = [entry.name + "/" * is_directory(entry) for entry in visible]
        self._visited.add((status.st_dev, status.st_ino))
        return sorted(name for name in names if self._names.accepts_path(prefix + name))


def is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def open_file(path: str, options: SourceOptions) -> Listing:
    """Open a file that is named directly, with any extension. Raises InputError if it is no regular file."""
    path = check_source_name(os.path.abspath(path))  # noqa: PTH100 - not resolve(): the key is the name that was typed
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(f"{path}: not a regular file; pipes and devices are not read")
    return Listing(path, lambda: iter([build_lone_entry(path, os.path.basename(path), path, options)]), options)  # noqa: PTH119


def build_lone_entry(path: str, key: str, source: str, options: SourceOptions) -> ListingEntry:
    """Build the entry of a file whose folder was not listed: check for each possible annotation."""
    folder, name = os.path.split(path)
    candidates = [stem + kind for stem in list_stems(name) for kind in (CAPTION_SUFFIX, METADATA_SUFFIX)]
    existing = [note for note in candidates if note != name and os.path.lexists(f"{folder}/{note}")]
    return build_file_entry(path, key, source, AnnotationIndex(existing), options)


def build_file_entry(
    path: str, key: str, source: str, annotations: AnnotationIndex, options: SourceOptions
) -> ListingEntry:
    """Build an entry by one `stat`, without opening the file or its annotations. `path` is absolute."""
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
        if annotations and (note := annotations.find(name, kind))
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
        statuses = {kind: os.stat(note) for kind, note in notes.items()}  # noqa: PTH116
    except OSError:
        return ""  # `read_facts_on_disk` raises the error
    if not all(is_settled(each.st_mtime_ns) for each in (image, *statuses.values())):
        return ""
    noted = [(kind, each.st_size, each.st_mtime_ns) for kind, each in statuses.items()]
    return make_stamp("file", image.st_size, image.st_mtime_ns, noted, label, list_fact_options(options))


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
    """List the images that a pattern matches, with keys relative to its part before the first `*`, `?` or `[`.

    `*` and `?` match within a name, and a leading dot only if the pattern has one too or hidden files are included.
    `**` matches any number of folders, at the end all files in them. Raises InputError if nothing matches.
    """
    base, parts = split_pattern(word)
    pattern = GlobPattern(parts, options.hidden)
    shown = replace(options, hidden=True)  # the pattern decides about names with a leading dot
    entries = partial(walk_folder, base, options, NameFilter(shown), pattern.choose)
    check_matches(word, entries() if os.path.isdir(base) else iter(()))  # noqa: PTH112
    return Listing(base, entries, options)


def list_matches(word: str, options: SourceOptions) -> list[str]:
    """Return the files that a pattern of archives or tables matches. Raises InputError if there are none."""
    base, parts = split_pattern(word)
    shown = NameFilter(replace(options, hidden=True))
    listed = walk_folder(base, options, shown, GlobPattern(parts, options.hidden).choose)
    if found := [f"{base}/{each.key}" for each in listed if isinstance(each, SkippedFile)]:
        return found
    raise InputError(f"{word}: no file matches this pattern")


def split_pattern(word: str) -> tuple[str, list[str]]:
    """Split a pattern into the absolute folder before the first magic character and the parts below it."""
    parts = word.split("/")
    first = next(number for number, part in enumerate(parts) if is_glob(part))
    below = [part for part in parts[first:] if part not in ("", ".")]
    if ".." in below:
        raise InputError(f"{word}: `..` cannot follow the first *, ? or [; name the folder itself")
    return check_source_name(os.path.abspath("/".join([*parts[:first], ""]))), below  # noqa: PTH100


def check_matches(word: str, entries: Iterator[object]) -> None:
    found = next(entries, None)
    if found is None:
        raise InputError(f"{word}: no file matches this pattern; `**` stands for folders of any depth")
    if isinstance(found, SkippedFile) and all(isinstance(each, SkippedFile) for each in entries):
        raise InputError(f"{word}: no image matches this pattern; looked for {', '.join(ENTRY_EXTENSIONS)} files")


class GlobPattern:
    """Match the parts of a pattern with the parts of a path, from left to right, as a nondeterministic automaton.

    A position is an index into the pattern's parts; ** may match any number of folders, so several can be reached.
    """

    def __init__(self, parts: Sequence[str], hidden: bool) -> None:
        parts = [*parts, "*"] if parts[-1] == ANY_DEPTH else parts
        self._parts = [None if part == ANY_DEPTH else compile_part(part, hidden) for part in parts]
        self._deeper = compile_part("*", hidden)  # the folders that ** matches

    def choose(self, prefix: str) -> Callable[[str], bool]:
        """Return the filter for names in the folder `prefix`: matching files, and folders (ending in /) to visit."""
        positions = self._skip_any_depth({0})
        for name in prefix.split("/")[:-1]:
            positions = self._advance(positions, name)
        return lambda name: self._matches(positions, name)

    def _matches(self, positions: set[int], name: str) -> bool:
        after = self._advance(positions, name.removesuffix("/"))
        end = len(self._parts)
        return any(position < end for position in after) if name.endswith("/") else end in after

    def _advance(self, positions: set[int], name: str) -> set[int]:
        after = set[int]()
        for position in positions - {len(self._parts)}:
            part = self._parts[position]
            if part is None and self._deeper(name):
                after.add(position)
            elif part is not None and part(name):
                after.add(position + 1)
        return self._skip_any_depth(after)

    def _skip_any_depth(self, positions: set[int]) -> set[int]:
        """Add the positions after each **, which may match no folder at all."""
        reached = set(positions)
        for position in sorted(positions):
            while position < len(self._parts) and self._parts[position] is None:
                position += 1
                reached.add(position)
        return reached


def compile_part(part: str, hidden: bool) -> Callable[[str], bool]:
    match = re.compile(fnmatch.translate(part)).match
    dotted = hidden or part.startswith(".")
    return lambda name: (dotted or not name.startswith(".")) and match(name) is not None
