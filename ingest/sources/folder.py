"""A folder on disk, listed while it is walked: the same files in the same order every time."""

import os
from collections.abc import Callable, Iterator
from functools import partial

from clip_vectorizer.errors import InputError
from ingest.items import Fate, Outcome
from ingest.sources.base import Skipped, SourceOptions
from ingest.sources.beside import Beside
from ingest.sources.files import file_entry
from ingest.sources.listing import Listed, Listing, sound_name
from ingest.sources.names import ENTRIES, Names, is_archive, is_entry, is_table, sound

Choose = Callable[[str], Callable[[str], bool]]  # given a folder: which of its names count


def open_folder(folder: str, options: SourceOptions) -> Listing:
    """The images and PDF files under `folder`, sorted by key. Raises InputError where there are none."""
    root = sound_name(os.path.abspath(folder))  # noqa: PTH100 - not resolve(): the label is the name the user sees
    listing = Listing(root, partial(list_folder, root, options, Names(options)), options)
    if all(isinstance(listed, Skipped) for listed in listing.entries()):
        looked_for = f"looked for {', '.join(ENTRIES)} files"
        raise InputError(f"{folder}: no images in this folder; {looked_for}{perhaps(listing, options)}")
    return listing


def perhaps(listing: Listing, options: SourceOptions) -> str:
    """What else may have been meant."""
    for listed in listing.entries():
        if isinstance(listed, Skipped) and (is_archive(listed.key) or is_table(listed.key)):
            return f"; it holds {listed.key}: make that a SOURCE"
    return f"; left out was {', '.join(options.ignore)} (--ignore)" if options.ignore else ""


def everything(_: str) -> Callable[[str], bool]:
    return lambda name: True


def list_folder(root: str, options: SourceOptions, names: Names, choose: Choose = everything) -> Iterator[Listed]:
    """Depth first, in the order of keys. Links are followed; every real folder is visited once, so a loop ends."""
    walk = Walk(root, options, names, choose)
    open_folders = [walk.folder("")]  # not recursion: folders nest deeper than Python's stack
    while open_folders:
        found = next(open_folders[-1], None)
        if found is None:
            open_folders.pop()
        elif isinstance(found, str):
            open_folders.append(walk.folder(found))
        else:
            yield found


class Walk:
    """One way through a folder. `prefix`: a folder's path below the root, ending with a slash; "" for the root."""

    def __init__(self, root: str, options: SourceOptions, names: Names, choose: Choose) -> None:
        self._root, self._options, self._names, self._choose = root, options, names, choose
        self._base = root.rstrip("/") + "/"
        self._visited: set[tuple[int, int]] = set()

    def folder(self, prefix: str) -> Iterator[Listed | str]:
        """The files of a folder, and the prefixes of the folders in it at the place where they are to be visited."""
        try:
            names = self._names_in(prefix)
        except OSError as error:
            reason = f"folder cannot be read ({error.strerror})"
            yield Outcome(sound(prefix.rstrip("/") or "."), Fate.FAILED, reason, self._root)
            return
        chosen, beside = self._choose(prefix), Beside(names)
        loose = set(beside.without(filter(is_entry, names))) if beside else set()
        for name in filter(chosen, names):
            if name.endswith("/"):
                yield prefix + name
            elif is_entry(name):
                yield file_entry(self._base + prefix + name, prefix + name, self._root, beside, self._options)
            elif name in loose or not beside.has(name):
                yield Skipped(sound(prefix + name))

    def _names_in(self, prefix: str) -> list[str]:
        """Sorted, those of folders with a slash at the end, which sorts them as the keys in them."""
        status = os.stat(self._base + prefix)  # noqa: PTH116
        if (status.st_dev, status.st_ino) in self._visited:
            return []
        with os.scandir(self._base + prefix) as entries:
            shown = (entry for entry in entries if self._names.count_name(entry.name))
            names = [entry.name + "/" * is_folder(entry) for entry in shown]
        self._visited.add((status.st_dev, status.st_ino))
        return sorted(name for name in names if self._names.count_path(prefix + name))


def is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False
