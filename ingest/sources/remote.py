"""What a SOURCE with `://` in it is: a folder, an archive, a table, a PDF file or a picture somewhere else."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from clip_vectorizer.errors import InputError
from ingest.items import Facts, UnusableFile
from ingest.sources.addresses import is_web, name_of, public
from ingest.sources.archive import open_archive
from ingest.sources.base import Entry, Skipped, Source, SourceOptions, stamp_of
from ingest.sources.beside import CAPTION, METADATA, Beside, Note, Notes, facts_of, options_stamp
from ingest.sources.far import Far
from ingest.sources.kinds import EXTENSIONS
from ingest.sources.listing import Listed, Listing
from ingest.sources.names import Names, is_archive, is_entry, is_table, not_utf8
from ingest.sources.storage import Info, stamp_of_info
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
    return open_one(address, options, far, far.web.stamp(address), TYPES.get(content, ""))


def open_storage(address: str, options: SourceOptions, far: Far) -> Source:
    info = None if address.endswith("/") else far.storage.info(address)
    if info and info.get("type") != "directory":
        return open_one(address, options, far, stamp_of_info(info))
    folder = address if address.endswith("/") else f"{address}/"
    listing = Listing(public(address), partial(list_folder, folder, options, far), options)
    if all(isinstance(listed, Skipped) for listed in listing.entries()):
        raise UnusableFile(f"no images in this folder; looked for {', '.join(EXTENSIONS)} files")
    return listing


def open_one(address: str, options: SourceOptions, far: Far, stamp: str, otherwise: str = "") -> Source:
    """One file; `otherwise`: its extension where its name has none that is known."""
    source, name = public(address), name_of(address)
    if is_table(name):
        return open_far_table(address, options, far)
    if is_archive(name):
        return open_archive(source, partial(far.open, address), stamp, options)
    entry = Entry(
        name if is_entry(name) else name + otherwise, source, stamp, partial(far.open, address), lambda: Facts()
    )
    return Listing(source, lambda: iter([entry]), options)


def list_folder(address: str, options: SourceOptions, far: Far) -> Iterator[Listed]:
    """Sorted by key. The whole list is held: a bucket has no folders that could be listed one by one."""
    files = sizes_and_stamps(address, options, far)
    beside = Beside(files)
    loose = set(beside.without(filter(is_entry, files))) if beside else set()
    for name in sorted(files):
        if is_entry(name):
            yield far_entry(address, name, files, beside, options, far)
        elif name in loose or not beside.has(name):
            yield Skipped(name)


def sizes_and_stamps(address: str, options: SourceOptions, far: Far) -> dict[str, tuple[int, str]]:
    """By path relative to the folder: of a file system's word for a file little more is needed."""
    root, found = far.storage.find(address)
    names, start = Names(options), len(root.rstrip("/")) + 1
    files = {path[start:]: info for path, info in found.items() if is_file(path, info)}
    return {
        name: (int(info.get("size") or 0), stamp_of_info(info)) for name, info in files.items() if names.count_all(name)
    }


def is_file(path: str, info: Info) -> bool:
    """Buckets hold empty objects that stand for folders."""
    return info.get("type") != "directory" and not path.endswith("/")


def far_entry(
    address: str, name: str, files: dict[str, tuple[int, str]], beside: Beside, options: SourceOptions, far: Far
) -> Listed:
    source = public(address).rstrip("/")
    if failure := not_utf8(name, source):
        return failure
    notes = {kind: note for kind in (CAPTION, METADATA) if beside and (note := beside.of(name, kind))}
    label = name_of(f"{source}/{name}".rpartition("/")[0])
    stamps = [files[seen][1] for seen in (name, *notes.values())]
    stamp = stamp_of("far", stamps, sorted(notes), label, options_stamp(options)) if all(stamps) else ""
    at = partial(opened, far, address)

    def facts() -> Facts:
        caption, metadata = (far_note(notes.get(kind), at) for kind in (CAPTION, METADATA))
        return facts_of(Notes(caption, metadata), label, options)

    return Entry(name, source, stamp, partial(at, name), facts)


def opened(far: Far, address: str, name: str) -> Any:
    return far.open(address + name)


def far_note(name: str | None, at: Any) -> Note | None:
    if name is None:
        return None

    def read(length: int) -> bytes:
        with at(name) as file:
            return bytes(file.read(length))

    return Note(name.rpartition("/")[2], read)
