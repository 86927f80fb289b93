"""What travels through an ingest: what a source found, what it becomes, and what became of it.

    Item -> ImageObject (all of it goes into the database) or Amendment (its properties only) -> Outcome

D dimensions

What is known of an image beside its pixels, put into words that can be compared.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from clip_vectorizer.vectors import Vectors
from ingest.choices import Fit


class UnusableFile(Exception):
    """Why an image cannot be ingested, in words that follow its name."""


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """Where a picture was taken, in degrees: north and east are positive."""

    latitude: float
    longitude: float


MetadataValue = str | int | float | bool | datetime | GeoPoint


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source tells of an image beside its pixels."""

    label: str = ""
    caption: str = ""
    metadata: Mapping[str, MetadataValue] = field(
        default_factory=dict
    )  # by property; the type of a value is the property's


@dataclass(frozen=True, slots=True)
class SourceItem:
    """An image found. `read` and `facts` are called in worker threads, once each, and may raise UnusableFile."""

    key: str  # the object's path and, through its UUID, its identity: forward slashes, valid UTF-8
    source: str  # the folder, archive, table or address it was found in: what --prune looks at
    stamp: str  # changes when bytes, facts or the way of reading them change; "" when that cannot be known unread
    read: Callable[[], bytes]  # the image file, or one made of the page or frame
    facts: Callable[[bytes], Facts]  # of what `read` gave
    fit: Fit = Fit.CROP
    held_bytes: int = 0  # of memory that the item holds on to, where it comes out of a stream


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the database has under a key."""

    sha256: str
    fit: str
    stamp: str
    facts: str  # digest
    source: str
    phash: str


@dataclass(frozen=True, slots=True)
class ImageObject:
    """What goes into the database."""

    key: str
    source: str
    stamp: str
    sha256: str  # hex digest of what was read
    fit: Fit
    facts: Facts
    mime: str
    size: int  # bytes of what was read
    image: bytes  # what is embedded: what was read, or the padded picture; let go of when nobody needs it any more
    thumbnail: bytes | None = None  # a JPEG
    phash: str = ""  # perceptual hash, 16 hex digits
    vector_d: Vectors | None = None  # (D,); None: Weaviate's module makes it
    duplicate_of: str = ""  # the key of an equal image that was there before
    replaces: bool = False  # the database holds another version

    @property
    def held_bytes(self) -> int:
        return len(self.image) + len(self.thumbnail or b"") + 2048


@dataclass(frozen=True, slots=True)
class Amendment:
    """The bytes are what the database has: properties change, the vector stays."""

    key: str
    source: str
    stamp: str
    facts: Facts | None  # None: these are equal too
    phash: str = ""  # "": as it is

    @property
    def held_bytes(self) -> int:
        return 2048


class Status(StrEnum):
    """The buckets of a report: every image seen ends in exactly one."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    key: str
    fate: Status
    reason: str = ""  # why it failed
    source: str = ""
    sha256: str = ""  # of what was uploaded
    duplicate_of: str = ""  # the key of an equal image that was there before


def digest_facts(facts: Facts) -> str:
    """Equal facts, equal digest, whatever the order of the metadata."""
    metadata = {name: to_json_value(value) for name, value in facts.metadata.items()}
    text = json.dumps([facts.label, facts.caption, metadata], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def to_json_value(value: MetadataValue) -> str | int | float | bool | list[float]:
    if isinstance(value, datetime):
        return format_rfc3339(value)
    return [value.latitude, value.longitude] if isinstance(value, GeoPoint) else value


def format_rfc3339(time: datetime) -> str:
    """As Weaviate wants a date."""
    return add_time_zone(time).isoformat()


def add_time_zone(time: datetime) -> datetime:
    """A time that names no zone is taken as UTC."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
