"""Members of archives of every format, how they become entries, and the open files that they are read from."""

import io
import posixpath
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from ingest.items import Facts, ItemOutcome, Status, UnusableFile
from ingest.sources.annotations import (
    ANNOTATION_SUFFIXES,
    CAPTION_SUFFIX,
    LABEL_SUFFIX,
    METADATA_SUFFIX,
    Annotation,
    Annotations,
    SampleIndex,
    list_fact_options,
    read_facts,
)
from ingest.sources.base import FileEntry, SkippedFile, SourceOptions, make_stamp
from ingest.sources.entries import ListingEntry, NameFilter, check_utf8, escape_non_utf8, is_entry, parse_extension
from ingest.sources.reading import check_size

RESOURCE_FORKS = "__MACOSX"  # a folder that macOS adds to zip files, with a ._x.png for each x.png


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    name: str  # as in the archive, decoded
    size: int
    version: object  # of the content, as far as the archive records it: a time, a checksum
    read: Callable[[int], bytes]  # read(n) returns at most n bytes; raises OSError, UnusableFile
    is_file: bool = True  # not a pipe or a device
    problem: str = ""  # why it cannot be read, if that is known in advance
    held_bytes: int = 0  # memory that it keeps, if it comes out of a stream


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    name: str  # absolute path or URL
    stamp: str  # "" when changes cannot be detected
    options: SourceOptions

    @property
    def base(self) -> str:
        return self.name.rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The label of members that are in no folder."""
        return self.base.partition(".")[0] or self.base

    def key(self, path: str) -> str:
        return f"{self.base}::{path}"

    def build_failure(self, reason: str) -> ItemOutcome:
        """The one failure for everything in the archive that could not be read."""
        return ItemOutcome(self.key(""), Status.FAILED, reason, self.name)


@dataclass(frozen=True, slots=True)
class ArchiveContents:
    annotations: Sequence[ArchiveMember]  # all of them, wherever they are; other members among them are ignored
    images: Sequence[str]  # the names of all images; other names among them are ignored
    members: Iterator[ArchiveMember]  # all; raises the error that ended the archive after the members before it


class MemberSorter:
    """Sort members into entries and their annotations; a second member of the same name is a failure."""

    def __init__(self, archive: ArchiveInfo, names: NameFilter, contents: ArchiveContents) -> None:
        self._archive, self._names = archive, names
        self._members = {
            normalize_member_path(annotation.name): annotation
            for annotation in contents.annotations
            if annotation.is_file and is_annotation(names, annotation.name)
        }
        self._annotations = SampleIndex(self._members, filter(is_entry, map(normalize_member_path, contents.images)))
        self._images = set[str]()  # paths of the images so far

    def entries(self, members: Iterable[ArchiveMember]) -> Iterator[ListingEntry]:
        for member in members:
            path = normalize_member_path(member.name)
            if not self._names.accepts(path) or is_resource_fork(path):
                continue
            if is_entry(path) and member.is_file:
                yield self._image(path, member)
                self._images.add(path)
            elif not self._annotations.is_annotation(path):
                yield SkippedFile(escape_non_utf8(self._archive.key(path)))

    def list_dropped(self) -> Iterator[SkippedFile]:
        """Yield the annotations that no image uses; call it after all members were sorted."""
        for path, reason in self._annotations.find_dropped(self._images):
            yield SkippedFile(escape_non_utf8(self._archive.key(path)), reason, self._archive.name)

    @property
    def has_images(self) -> bool:
        return bool(self._images)

    def _image(self, path: str, member: ArchiveMember) -> ListingEntry:
        key = self._archive.key(path)
        if failure := check_utf8(key, self._archive.name, "the member's name"):
            return failure
        if reason := self._reason(path, member):
            return ItemOutcome(key, Status.FAILED, reason, self._archive.name)
        annotations = {
            kind: self._members[annotation]
            for kind in ANNOTATION_SUFFIXES
            if (annotation := self._annotations.find(path, kind))
        }
        return self._entry(key, path, member, annotations)

    def _reason(self, path: str, member: ArchiveMember) -> str:
        if path in self._images:
            return "the archive has two members of this name; the first was ingested: unpack it and ingest the folder"
        return member.problem

    def _entry(self, key: str, path: str, member: ArchiveMember, annotations: dict[str, ArchiveMember]) -> FileEntry:
        archive, label = self._archive, parse_folder_label(path)
        held = member.held_bytes + sum(annotation.held_bytes for annotation in annotations.values())
        facts = partial(read_member_facts, annotations, label, archive.options, archive.stem)
        version = (archive.stamp, path, member.size, member.version, archive.stem, *list_fact_options(archive.options))
        stamp = make_stamp("member", *version) if archive.stamp else ""
        return FileEntry(key, archive.name, stamp, partial(open_member, member), facts, held)


def is_annotation(names: NameFilter, name: str) -> bool:
    path = normalize_member_path(name)
    return parse_extension(path) in ANNOTATION_SUFFIXES and names.accepts(path) and not is_resource_fork(path)


def is_resource_fork(path: str) -> bool:
    return path.partition("/")[0] == RESOURCE_FORKS


def normalize_member_path(name: str) -> str:
    """Normalize a path, but keep .. and / at its start: members are never written to disk."""
    path = posixpath.normpath(name) if name else name
    return path[1:] if path.startswith("//") else path


def parse_folder_label(path: str) -> str:
    """Return the name of the member's folder; "" if it is in none."""
    folder = posixpath.basename(posixpath.dirname(path))
    return "" if folder == ".." else folder


def open_member(member: ArchiveMember) -> BinaryIO:
    """Read the member into memory: many threads read an archive, and not every format can seek in a member."""
    check_size(member.size)
    data = member.read(member.size + 1)
    if len(data) != member.size:
        raise UnusableFile(f"the archive announces {member.size} bytes and has {len(data)}")
    return io.BytesIO(data)


def read_member_facts(annotations: dict[str, ArchiveMember], label: str, options: SourceOptions, stem: str) -> Facts:
    def annotation(kind: str) -> Annotation | None:
        return (
            Annotation(posixpath.basename(annotations[kind].name), partial(read_member_start, annotations[kind]))
            if kind in annotations
            else None
        )

    return read_facts(
        Annotations(annotation(CAPTION_SUFFIX), annotation(METADATA_SUFFIX), annotation(LABEL_SUFFIX)),
        label,
        options,
        stem,
    )


def read_member_start(member: ArchiveMember, length: int) -> bytes:
    if member.problem:
        raise UnusableFile(member.problem)
    return member.read(length)


class HandlePool:
    """Open files of one archive, one per reading thread; closed when the last member that uses them is freed."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open = open_file
        self._idle: list[BinaryIO] = []
        weakref.finalize(self, close_all, self._idle)

    @contextmanager
    def borrow(self) -> Iterator[BinaryIO]:
        """Context manager: a file for exclusive use until it is returned. After an error it is closed."""
        try:
            handle = self._idle.pop()
        except IndexError:
            handle = self._open()
        try:
            yield handle
        except BaseException:
            handle.close()
            raise
        self._idle.append(handle)


def close_all(idle: list[BinaryIO]) -> None:
    while idle:
        idle.pop().close()
