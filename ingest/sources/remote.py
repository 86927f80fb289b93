"""What a SOURCE with `://` in it is: a folder, an archive, a table, a PDF file or a picture somewhere else."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from clip_vectorizer.errors import InputError
from ingest.items import Facts, UnusableFile
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
from ingest.sources.archive import open_archive
from ingest.sources.base import FileEntry, SkippedFile, Source, SourceOptions, make_stamp
from ingest.sources.entries import Listing, ListingEntry, NameFilter, check_utf8, is_archive, is_entry, is_table
from ingest.sources.file_types import FILE_EXTENSIONS
from ingest.sources.storage import FileInfo, stamp_file_info
from ingest.sources.table import open_remote_table
from ingest.sources.transport import Transport
from ingest.sources.urls import is_http, parent_url, parse_base_name, strip_secrets

SUFFIX_BY_CONTENT_TYPE = {"application/pdf": ".pdf"}  # by Content-Type, for addresses whose names do not tell


def open_remote(word: str, options: SourceOptions, far: Transport | None = None) -> Source:
    """Raises InputError for what is not there or refused, SettingsError for what a package is missing for."""
    far = far or Transport(options.storage)
    try:
        return open_http(word, options, far) if is_http(word) else open_storage(word, options, far)
    except UnusableFile as problem:
        raise InputError(f"{strip_secrets(word)}: {problem}") from problem


def open_http(address: str, options: SourceOptions, far: Transport) -> Source:
    name = parse_base_name(address)
    content = far.web.content_type(address)
    if content == "text/html" and not (is_table(name) or is_archive(name)):
        raise UnusableFile("a web page, not an image; the web has no folders: list the images in a table")
    if is_table(name) or is_archive(name):
        return open_container(address, options, far)
    key = name if is_entry(name) else name + SUFFIX_BY_CONTENT_TYPE.get(content, "")
    source = strip_secrets(address)

    def entries() -> Iterator[ListingEntry]:
        yield FileEntry(key, source, far.stamp(address), partial(far.open, address), Facts)

    return Listing(source, entries, options)


def open_storage(address: str, options: SourceOptions, far: Transport) -> Source:
    name = parse_base_name(address)
    if address.endswith("/") or far.storage.info(address).get("type") == "directory":
        return open_remote_folder(f"{address.rstrip('/')}/", options, far)
    if is_table(name) or is_archive(name):
        return open_container(address, options, far)
    return Listing(strip_secrets(address), partial(list_lone_file, address, options, far), options)


def open_container(address: str, options: SourceOptions, far: Transport) -> Source:
    """Of a table or an archive."""
    if is_table(parse_base_name(address)):
        return open_remote_table(address, options, far)
    return open_archive(strip_secrets(address), partial(far.open, address), partial(far.stamp, address), options)


def open_remote_folder(address: str, options: SourceOptions, far: Transport) -> Source:
    folder = RemoteFolder(address, strip_secrets(address).rstrip("/"), options, far)
    if not any(map(is_entry, folder.look())):
        raise UnusableFile(f"no images in this folder; looked for {', '.join(FILE_EXTENSIONS)} files")
    return Listing(folder.source, folder.entries, options)


def list_lone_file(address: str, options: SourceOptions, far: Transport) -> Iterator[ListingEntry]:
    """A file whose folder is not listed: its notes are looked for one by one."""
    folder, name = parent_url(address), address.rpartition("/")[2]
    possible = [stem + kind for stem in list_stems(name) for kind in (CAPTION_SUFFIX, METADATA_SUFFIX)]
    stamps = {note: found for note in possible if (found := far.storage.stamp_of_known(folder + note)) is not None}
    here = RemoteFolder(folder, strip_secrets(address), options, far)
    yield here.entry(name, {**stamps, name: far.stamp(address)}, AnnotationIndex(stamps))


@dataclass
class RemoteFolder:
    address: str  # ends with a slash
    source: str
    options: SourceOptions
    far: Transport
    _looked: dict[str, str] | None = None  # what was found when the folder was opened, for the first who iterates

    def entries(self) -> Iterator[ListingEntry]:
        """Sorted by key. The whole list is held: a bucket has no folders that could be listed one by one."""
        files, self._looked = self._looked or self.look(), None
        beside = AnnotationIndex(files)
        loose = set(beside.without(filter(is_entry, files))) if beside else set()
        for name in sorted(files):
            if is_entry(name):
                yield self.entry(name, files, beside)
            elif name in loose or not beside.has(name):
                yield SkippedFile(name)

    def look(self) -> dict[str, str]:
        """The stamps of all files by their paths below the folder: all that is needed of what is told of them."""
        root, found = self.far.storage.find(self.address)
        names, start = NameFilter(self.options), len(root.rstrip("/")) + 1
        files = {path[start:]: info for path, info in found.items() if is_file(path, info)}
        self._looked = {name: stamp_file_info(info) for name, info in files.items() if names.count_all(name)}
        return self._looked

    def entry(self, name: str, files: Mapping[str, str], beside: AnnotationIndex) -> ListingEntry:
        if failure := check_utf8(name, self.source):
            return failure
        notes = {kind: note for kind in (CAPTION_SUFFIX, METADATA_SUFFIX) if beside and (note := beside.of(name, kind))}
        label = parse_base_name((self.address + name).rpartition("/")[0])
        stamps = [files[seen] for seen in (name, *notes.values())]
        stamp = make_stamp("far", stamps, sorted(notes), label, list_fact_options(self.options)) if all(stamps) else ""
        return FileEntry(name, self.source, stamp, self._opener(name), partial(self._facts, notes, label))

    def _opener(self, name: str) -> Callable[[], BinaryIO]:
        return partial(self.far.open, self.address + name)

    def _facts(self, notes: Mapping[str, str], label: str) -> Facts:
        caption, metadata = (self._note(notes.get(kind)) for kind in (CAPTION_SUFFIX, METADATA_SUFFIX))
        return read_facts(Annotations(caption, metadata), label, self.options)

    def _note(self, name: str | None) -> Annotation | None:
        if name is None:
            return None

        def read(length: int) -> bytes:
            with self._opener(name)() as file:
                return file.read(length)

        return Annotation(name.rpartition("/")[2], read)


def is_file(path: str, info: FileInfo) -> bool:
    """Buckets hold empty objects that stand for folders."""
    return info.get("type") != "directory" and not path.endswith("/")
