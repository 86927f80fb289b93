"""What travels through an ingest: a file found, the object made of it, and what became of it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ImageFile:
    file: Path  # absolute
    key: str  # relative to the source, forward slashes: the object's path and, through its UUID, its identity
    caption_file: Path | None = None

    @property
    def label(self) -> str:
        return self.file.parent.name


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Equal fingerprints: nothing to upload."""

    sha256: str
    label: str
    caption: str
    model: str  # the collection's model


@dataclass(frozen=True, slots=True)
class ImageObject:
    key: str
    fingerprint: Fingerprint
    data: bytes  # the file as it is
    thumbnail: bytes  # a JPEG
    mime: str
    replaces: bool  # the database holds another version

    @property
    def wire_bytes(self) -> int:
        """About what the object takes on the wire, where the bytes go as base64."""
        return (len(self.data) + len(self.thumbnail)) * 4 // 3 + 1024


class Fate(StrEnum):
    """The buckets of a report: every file seen ends in exactly one."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    key: str
    fate: Fate
    reason: str = ""  # why it failed
    sha256: str = ""  # of what was uploaded
