"""What an archive holds, whatever its kind, and how its members become entries."""

import io
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from ingest.items import Facts, Fate, Outcome, UnusableFile
from ingest.sources.base import Entry, Skipped, SourceOptions, stamp_of
from ingest.sources.beside import CAPTION, LABEL, METADATA, Beside, Note, Notes, facts_of, options_stamp
from ingest.sources.listing import Listed
from ingest.sources.names import Names, extension, is_entry, not_utf8, sound
from ingest.sources.reading import refuse_large

KINDS = (CAPTION, METADATA, LABEL)


@dataclass(frozen=True, slots=True)
class Member:
    name: str  # as the archive has it, decoded
    size: int
    version: object  # what the archive tells of the content: a time, a checksum
    read: Callable[[int], bytes]  # no more bytes than asked for; raises OSError, UnusableFile
    is_file: bool = True  # no pipe or device
    problem: str = ""  # why it cannot be read, where that is known
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Archive:
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

    def broken(self, reason: str) -> Outcome:
        """What becomes of all that could not be read: one failure."""
        return Outcome(self.key(""), Fate.FAILED, reason, self.name)


@dataclass(frozen=True, slots=True)
class Contents:
    notes: Sequence[Member]  # all that there are, which may lie anywhere; other members among them do no harm
    members: Iterator[Member]  # all; raises whatever ended the archive, after what came before it


class Shelf:
    """Members sorted into entries and their notes; every name counts once."""

    def __init__(self, archive: Archive, names: Names, notes: Iterable[Member]) -> None:
        self._archive, self._names = archive, names
        self._notes = {path_in(note.name): note for note in notes if note.is_file and is_note(names, note.name)}
        self._beside = Beside(self._notes, KINDS, sample_stems)
        self._images = set[str]()  # that have passed

    def entries(self, members: Iterable[Member]) -> Iterator[Listed]:
        for member in members:
            path = path_in(member.name)
            if not self._names.count_all(path):
                continue
            if is_entry(path) and member.is_file:
                yield self._image(path, member)
                self._images.add(path)
            elif not self._beside.has(path):
                yield Skipped(sound(self._archive.key(path)))

    def rest(self) -> Iterator[Skipped]:
        """The notes whose images never came."""
        return (Skipped(sound(self._archive.key(path))) for path in self._beside.without(self._images))

    @property
    def holds_images(self) -> bool:
        return bool(self._images)

    def _image(self, path: str, member: Member) -> Listed:
        key = self._archive.key(path)
        if failure := not_utf8(key, self._archive.name, "the member's name"):
            return failure
        if reason := self._reason(path, member):
            return Outcome(key, Fate.FAILED, reason, self._archive.name)
        notes = {kind: self._notes[note] for kind in KINDS if (note := self._beside.of(path, kind))}
        return self._entry(key, path, member, notes)

    def _reason(self, path: str, member: Member) -> str:
        if path in self._images:
            return "the archive has two members of this name; the first was taken: unpack it and ingest the folder"
        return member.problem

    def _entry(self, key: str, path: str, member: Member, notes: dict[str, Member]) -> Entry:
        archive, label = self._archive, label_in(path)
        held = member.held_bytes + sum(note.held_bytes for note in notes.values())
        facts = partial(facts_inside, notes, label, archive.options, archive.stem)
        version = (archive.stamp, path, member.size, member.version, archive.stem, *options_stamp(archive.options))
        stamp = stamp_of("member", *version) if archive.stamp else ""
        return Entry(key, archive.name, stamp, partial(open_member, member), facts, held)


def is_note(names: Names, name: str) -> bool:
    path = path_in(name)
    return extension(path) in KINDS and names.count_all(path)


def path_in(name: str) -> str:
    """Members are never written to disk, so .. and / at the front do no harm and stay: they tell members apart."""
    path = posixpath.normpath(name) if name else name
    return path[1:] if path.startswith("//") else path


def label_in(path: str) -> str:
    """The name of the folder it lies in."""
    folder = posixpath.basename(posixpath.dirname(path))
    return "" if folder == ".." else folder


def sample_stems(path: str) -> Sequence[str]:
    """With that of WebDataset, where a sample's name ends at its first dot: 0001.left.jpg, 0001.json."""
    folder, slash, name = path.rpartition("/")
    return path, posixpath.splitext(path)[0], folder + slash + name.partition(".")[0]


def open_member(member: Member) -> BinaryIO:
    """All of it in memory: for archives are read by many threads, and not all of them let one seek in a member."""
    refuse_large(member.size)
    data = member.read(member.size + 1)
    if len(data) != member.size:
        raise UnusableFile(f"the archive announces {member.size} bytes and has {len(data)}")
    return io.BytesIO(data)


def facts_inside(notes: dict[str, Member], label: str, options: SourceOptions, stem: str) -> Facts:
    def note(kind: str) -> Note | None:
        return Note(posixpath.basename(notes[kind].name), partial(start_of, notes[kind])) if kind in notes else None

    return facts_of(Notes(note(CAPTION), note(METADATA), note(LABEL)), label, options, stem)


def start_of(member: Member, length: int) -> bytes:
    if member.problem:
        raise UnusableFile(member.problem)
    return member.read(length)
