"""What an archive holds, whatever its kind, and how its members become entries.

Open files of one archive for many threads.
"""

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
    CAPTION_SUFFIX,
    LABEL_SUFFIX,
    METADATA_SUFFIX,
    Annotation,
    AnnotationIndex,
    Annotations,
    list_fact_options,
    read_facts,
)
from ingest.sources.base import FileEntry, SkippedFile, SourceOptions, make_stamp
from ingest.sources.entries import ListingEntry, NameFilter, check_utf8, escape_non_utf8, is_entry, parse_extension
from ingest.sources.reading import check_size

ANNOTATION_SUFFIXES = (CAPTION_SUFFIX, METADATA_SUFFIX, LABEL_SUFFIX)


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    name: str  # as the archive has it, decoded
    size: int
    version: object  # what the archive tells of the content: a time, a checksum
    read: Callable[[int], bytes]  # no more bytes than asked for; raises OSError, UnusableFile
    is_file: bool = True  # no pipe or device
    problem: str = ""  # why it cannot be read, where that is known
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ArchiveInfo:
    name: str  # absolute path or address
    stamp: str  # "" when its changes cannot be known
    options: SourceOptions

    @property
    def base(self) -> str:
        return self.name.rstrip("/").rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The label of what lies in no folder."""
        return self.base.partition(".")[0] or self.base

    def key(self, path: str) -> str:
        return f"{self.base}::{path}"

    def broken(self, reason: str) -> ItemOutcome:
        """What becomes of all that could not be read: one failure."""
        return ItemOutcome(self.key(""), Status.FAILED, reason, self.name)


@dataclass(frozen=True, slots=True)
class ArchiveContents:
    notes: Sequence[ArchiveMember]  # all that there are, which may lie anywhere; other members among them do no harm
    members: Iterator[ArchiveMember]  # all; raises whatever ended the archive, after what came before it


class MemberSorter:
    """Members sorted into entries and their notes; every name counts once."""

    def __init__(self, archive: ArchiveInfo, names: NameFilter, notes: Iterable[ArchiveMember]) -> None:
        self._archive, self._names = archive, names
        self._notes = {
            normalize_member_path(note.name): note for note in notes if note.is_file and is_annotation(names, note.name)
        }
        self._beside = AnnotationIndex(self._notes, ANNOTATION_SUFFIXES, list_sample_stems)
        self._images = set[str]()  # that have passed

    def entries(self, members: Iterable[ArchiveMember]) -> Iterator[ListingEntry]:
        for member in members:
            path = normalize_member_path(member.name)
            if not self._names.count_all(path):
                continue
            if is_entry(path) and member.is_file:
                yield self._image(path, member)
                self._images.add(path)
            elif not self._beside.has(path):
                yield SkippedFile(escape_non_utf8(self._archive.key(path)))

    def rest(self) -> Iterator[SkippedFile]:
        """The notes whose images never came."""
        return (SkippedFile(escape_non_utf8(self._archive.key(path))) for path in self._beside.without(self._images))

    @property
    def holds_images(self) -> bool:
        return bool(self._images)

    def _image(self, path: str, member: ArchiveMember) -> ListingEntry:
        key = self._archive.key(path)
        if failure := check_utf8(key, self._archive.name, "the member's name"):
            return failure
        if reason := self._reason(path, member):
            return ItemOutcome(key, Status.FAILED, reason, self._archive.name)
        notes = {kind: self._notes[note] for kind in ANNOTATION_SUFFIXES if (note := self._beside.of(path, kind))}
        return self._entry(key, path, member, notes)

    def _reason(self, path: str, member: ArchiveMember) -> str:
        if path in self._images:
            return "the archive has two members of this name; the first was taken: unpack it and ingest the folder"
        return member.problem

    def _entry(self, key: str, path: str, member: ArchiveMember, notes: dict[str, ArchiveMember]) -> FileEntry:
        archive, label = self._archive, parse_folder_label(path)
        held = member.held_bytes + sum(note.held_bytes for note in notes.values())
        facts = partial(read_member_facts, notes, label, archive.options, archive.stem)
        version = (archive.stamp, path, member.size, member.version, archive.stem, *list_fact_options(archive.options))
        stamp = make_stamp("member", *version) if archive.stamp else ""
        return FileEntry(key, archive.name, stamp, partial(open_member, member), facts, held)


def is_annotation(names: NameFilter, name: str) -> bool:
    path = normalize_member_path(name)
    return parse_extension(path) in ANNOTATION_SUFFIXES and names.count_all(path)


def normalize_member_path(name: str) -> str:
    """Members are never written to disk, so .. and / at the front do no harm and stay: they tell members apart."""
    path = posixpath.normpath(name) if name else name
    return path[1:] if path.startswith("//") else path


def parse_folder_label(path: str) -> str:
    """The name of the folder it lies in."""
    folder = posixpath.basename(posixpath.dirname(path))
    return "" if folder == ".." else folder


def list_sample_stems(path: str) -> Sequence[str]:
    """With that of WebDataset, where a sample's name ends at its first dot: 0001.left.jpg, 0001.json."""
    folder, slash, name = path.rpartition("/")
    return path, posixpath.splitext(path)[0], folder + slash + name.partition(".")[0]


def open_member(member: ArchiveMember) -> BinaryIO:
    """All of it in memory: for archives are read by many threads, and not all of them let one seek in a member."""
    check_size(member.size)
    data = member.read(member.size + 1)
    if len(data) != member.size:
        raise UnusableFile(f"the archive announces {member.size} bytes and has {len(data)}")
    return io.BytesIO(data)


def read_member_facts(notes: dict[str, ArchiveMember], label: str, options: SourceOptions, stem: str) -> Facts:
    def note(kind: str) -> Annotation | None:
        return (
            Annotation(posixpath.basename(notes[kind].name), partial(read_member_start, notes[kind]))
            if kind in notes
            else None
        )

    return read_facts(
        Annotations(note(CAPTION_SUFFIX), note(METADATA_SUFFIX), note(LABEL_SUFFIX)), label, options, stem
    )


def read_member_start(member: ArchiveMember, length: int) -> bytes:
    if member.problem:
        raise UnusableFile(member.problem)
    return member.read(length)


class HandlePool:
    """One open file a reading thread. They are closed when the last member that may be read has gone."""

    def __init__(self, open_file: Callable[[], BinaryIO]) -> None:
        self._open = open_file
        self._idle: list[BinaryIO] = []
        weakref.finalize(self, close_all, self._idle)

    @contextmanager
    def one(self) -> Iterator[BinaryIO]:
        """Nobody else's until it is given back. One that raised is not used again."""
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
