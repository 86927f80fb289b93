"""What a SOURCE with `://` in it is: a folder, an archive, a table, a PDF file or a picture somewhere else."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from clip_vectorizer.errors import InputError
from ingest.items import Facts, UnusableFile
from ingest.sources.addresses import folder_of, is_web, name_of, public
from ingest.sources.archive import open_archive
from ingest.sources.base import Entry, Skipped, Source, SourceOptions, stamp_of
from ingest.sources.beside import CAPTION, METADATA, Beside, Note, Notes, facts_of, options_stamp, stems
from ingest.sources.far import Far
from ingest.sources.kinds import EXTENSIONS
from ingest.sources.listing import Listed, Listing
from ingest.sources.names import Names, is_archive, is_entry, is_table, not_utf8
from ingest.sources.storage_words import Info, stamp_of_info
from ingest.sources.table import open_far_table

TYPES = {"application/pdf": ".pdf"}  # by Content-Type, for addresses whose names do not tell


def open_remote(word: str, options: SourceOptions, far: Far | None = None) -> Source:
    """Raises InputError for what is not there or refused, SettingsError for what a package is missing for."""
    far = far or Far(options.storage)
    try:
        return open_web(word, options, far) if is_web(word) else open_storage(word, options, far)
    except UnusableFile as problem:
        raise InputError(f"{public(word)}: {problem}") from problem


def open_web(address: str, options: SourceOptions, far: Far) -> Source:
    name = name_of(address)
    content = far.web.content_type(address)
    if content == "text/html" and not (is_table(name) or is_archive(name)):
        raise UnusableFile("a web page, not an image; the web has no folders: list the images in a table")
    if is_table(name) or is_archive(name):
        return open_holder(address, options, far)
    key = name if is_entry(name) else name + TYPES.get(content, "")
    source = public(address)

    def entries() -> Iterator[Listed]:
        yield Entry(key, source, far.stamp(address), partial(far.open, address), Facts)

    return Listing(source, entries, options)


def open_storage(address: str, options: SourceOptions, far: Far) -> Source:
    name = name_of(address)
    if address.endswith("/") or far.storage.info(address).get("type") == "directory":
        return open_folder(f"{address.rstrip('/')}/", options, far)
    if is_table(name) or is_archive(name):
        return open_holder(address, options, far)
    return Listing(public(address), partial(lone_file, address, options, far), options)


def open_holder(address: str, options: SourceOptions, far: Far) -> Source:
    """Of a table or an archive."""
    if is_table(name_of(address)):
        return open_far_table(address, options, far)
    return open_archive(public(address), partial(far.open, address), partial(far.stamp, address), options)


def open_folder(address: str, options: SourceOptions, far: Far) -> Source:
    folder = FarFolder(address, public(address).rstrip("/"), options, far)
    if not any(map(is_entry, folder.look())):
        raise UnusableFile(f"no images in this folder; looked for {', '.join(EXTENSIONS)} files")
    return Listing(folder.source, folder.entries, options)


def lone_file(address: str, options: SourceOptions, far: Far) -> Iterator[Listed]:
    """A file whose folder is not listed: its notes are looked for one by one."""
    folder, name = folder_of(address), address.rpartition("/")[2]
    possible = [stem + kind for stem in stems(name) for kind in (CAPTION, METADATA)]
    stamps = {note: found for note in possible if (found := far.storage.stamp_of_known(folder + note)) is not None}
    here = FarFolder(folder, public(address), options, far)
    yield here.entry(name, {**stamps, name: far.stamp(address)}, Beside(stamps))


@dataclass
class FarFolder:
    address: str  # ends with a slash
    source: str
    options: SourceOptions
    far: Far
    _looked: dict[str, str] | None = None  # what was found when the folder was opened, for the first who iterates

    def entries(self) -> Iterator[Listed]:
        """Sorted by key. The whole list is held: a bucket has no folders that could be listed one by one."""
        files, self._looked = self._looked or self.look(), None
        beside = Beside(files)
        loose = set(beside.without(filter(is_entry, files))) if beside else set()
        for name in sorted(files):
            if is_entry(name):
                yield self.entry(name, files, beside)
            elif name in loose or not beside.has(name):
                yield Skipped(name)

    def look(self) -> dict[str, str]:
        """The stamps of all files by their paths below the folder: all that is needed of what is told of them."""
        root, found = self.far.storage.find(self.address)
        names, start = Names(self.options), len(root.rstrip("/")) + 1
        files = {path[start:]: info for path, info in found.items() if is_file(path, info)}
        self._looked = {name: stamp_of_info(info) for name, info in files.items() if names.count_all(name)}
        return self._looked

    def entry(self, name: str, files: Mapping[str, str], beside: Beside) -> Listed:
        if failure := not_utf8(name, self.source):
            return failure
        notes = {kind: note for kind in (CAPTION, METADATA) if beside and (note := beside.of(name, kind))}
        label = name_of((self.address + name).rpartition("/")[0])
        stamps = [files[seen] for seen in (name, *notes.values())]
        stamp = stamp_of("far", stamps, sorted(notes), label, options_stamp(self.options)) if all(stamps) else ""
        return Entry(name, self.source, stamp, self._opener(name), partial(self._facts, notes, label))

    def _opener(self, name: str) -> Callable[[], BinaryIO]:
        return partial(self.far.open, self.address + name)

    def _facts(self, notes: Mapping[str, str], label: str) -> Facts:
        caption, metadata = (self._note(notes.get(kind)) for kind in (CAPTION, METADATA))
        return facts_of(Notes(caption, metadata), label, self.options)

    def _note(self, name: str | None) -> Note | None:
        if name is None:
            return None

        def read(length: int) -> bytes:
            with self._opener(name)() as file:
                return file.read(length)

        return Note(name.rpartition("/")[2], read)


def is_file(path: str, info: Info) -> bool:
    """Buckets hold empty objects that stand for folders."""
    return info.get("type") != "directory" and not path.endswith("/")
