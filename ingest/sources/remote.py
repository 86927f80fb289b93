"""Sources at URLs: a folder, an archive, a table, a list, a PDF file or an image, by HTTP or in a bucket."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from clip_vectorizer.errors import InputError
from clip_vectorizer.public_urls import strip_secrets
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
from ingest.sources.lists import open_remote_list
from ingest.sources.storage import FileInfo, stamp_file_info
from ingest.sources.table import open_remote_table
from ingest.sources.transport import Transport
from ingest.sources.urls import is_http, parent_url, parse_base_name

SUFFIX_BY_CONTENT_TYPE = {"application/pdf": ".pdf"}  # for URLs whose names have no known extension


def open_remote(word: str, options: SourceOptions, transport: Transport | None = None) -> Source:
    """Open the source at a URL. Raises InputError if it cannot be opened, SettingsError if a package is missing."""
    transport = transport or Transport.of(options)
    try:
        return open_http(word, options, transport) if is_http(word) else open_storage(word, options, transport)
    except UnusableFile as problem:
        raise InputError(f"{strip_secrets(word)}: {problem}") from problem


def open_http(url: str, options: SourceOptions, transport: Transport) -> Source:
    name = parse_base_name(url)
    content = transport.http.content_type(url)
    if content == "text/html" and not (is_table(name) or is_archive(name)):
        raise UnusableFile("a web page, not an image; HTTP has no folders: list the images in a table")
    if is_table(name) or is_archive(name):
        return open_container(url, options, transport)
    if listing := open_remote_list(url, options, transport):
        return listing
    key = name if is_entry(name) else name + SUFFIX_BY_CONTENT_TYPE.get(content, "")
    source = strip_secrets(url)

    def entries() -> Iterator[ListingEntry]:
        yield FileEntry(key, source, transport.stamp(url), partial(transport.open, url), Facts)

    return Listing(source, entries, options)


def open_storage(url: str, options: SourceOptions, transport: Transport) -> Source:
    name = parse_base_name(url)
    if url.endswith("/") or transport.storage.info(url).get("type") == "directory":
        return open_remote_folder(f"{url.rstrip('/')}/", options, transport)
    if is_table(name) or is_archive(name):
        return open_container(url, options, transport)
    if listing := open_remote_list(url, options, transport):
        return listing
    return Listing(strip_secrets(url), partial(list_lone_file, url, options, transport), options)


def open_container(url: str, options: SourceOptions, transport: Transport) -> Source:
    """Open a table or an archive."""
    if is_table(parse_base_name(url)):
        return open_remote_table(url, options, transport)
    return open_archive(strip_secrets(url), partial(transport.open, url), partial(transport.stamp, url), options)


def open_remote_folder(url: str, options: SourceOptions, transport: Transport) -> Source:
    folder = RemoteFolder(url, strip_secrets(url).rstrip("/"), options, transport)
    if not any(map(is_entry, folder.find_files())):
        raise UnusableFile(f"no images in this folder; looked for {', '.join(FILE_EXTENSIONS)} files")
    return Listing(folder.source, folder.entries, options)


def list_lone_file(url: str, options: SourceOptions, transport: Transport) -> Iterator[ListingEntry]:
    """List one file, whose folder is not listed: check for each possible annotation."""
    folder, name = parent_url(url), url.rpartition("/")[2]
    candidates = [stem + kind for stem in list_stems(name) for kind in (CAPTION_SUFFIX, METADATA_SUFFIX)]
    stamps = {note: found for note in candidates if (found := transport.storage.find_stamp(folder + note)) is not None}
    parent = RemoteFolder(folder, strip_secrets(url), options, transport)
    yield parent.build_entry(name, {**stamps, name: transport.stamp(url)}, AnnotationIndex(stamps))


@dataclass
class RemoteFolder:
    """A folder in a bucket or another file system of fsspec."""

    url: str  # ends with a slash
    source: str
    options: SourceOptions
    transport: Transport
    _files: dict[str, str] | None = None  # the listing made when the folder was opened, for the first iteration

    def entries(self) -> Iterator[ListingEntry]:
        """List the entries, sorted by key, from memory: a bucket cannot be listed folder by folder."""
        files, self._files = self._files or self.find_files(), None
        annotations = AnnotationIndex(files)
        unmatched = set(annotations.list_unmatched(filter(is_entry, files))) if annotations else set()
        for name in sorted(files):
            if is_entry(name):
                yield self.build_entry(name, files, annotations)
            elif name in unmatched or not annotations.is_annotation(name):
                yield SkippedFile(name)

    def find_files(self) -> dict[str, str]:
        """Return the stamps of all files, by their paths below the folder."""
        root, found = self.transport.storage.find(self.url)
        names, start = NameFilter(self.options), len(root.rstrip("/")) + 1
        files = {path[start:]: info for path, info in found.items() if is_file(path, info)}
        self._files = {name: stamp_file_info(info) for name, info in files.items() if names.accepts(name)}
        return self._files

    def build_entry(self, name: str, files: Mapping[str, str], annotations: AnnotationIndex) -> ListingEntry:
        if failure := check_utf8(name, self.source):
            return failure
        notes = {
            kind: note
            for kind in (CAPTION_SUFFIX, METADATA_SUFFIX)
            if annotations and (note := annotations.find(name, kind))
        }
        label = parse_base_name((self.url + name).rpartition("/")[0])
        stamps = [files[each] for each in (name, *notes.values())]
        stamp = make_stamp("far", stamps, sorted(notes), label, list_fact_options(self.options)) if all(stamps) else ""
        return FileEntry(name, self.source, stamp, self._opener(name), partial(self._facts, notes, label))

    def _opener(self, name: str) -> Callable[[], BinaryIO]:
        return partial(self.transport.open, self.url + name)

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
    """Whether it is a file: buckets contain empty objects that represent folders."""
    return info.get("type") != "directory" and not path.endswith("/")
