"""The values that travel through an ingest.

    SourceItem -> ImageObject (a whole object) or Amendment (properties of a stored object) -> ItemOutcome

Regions of an image travel with it: RegionTask (to be made) -> RegionResult (stored; the image is written after them).

D dimensions
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from clip_vectorizer.vectors import Box, Vectors
from ingest.choices import Fit
from ingest.page_pixels import PagePixels


class UnusableFile(Exception):
    """An image cannot be ingested. The text is the reason, and follows the image's name."""


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """Where a picture was taken, in degrees: north and east are positive."""

    latitude: float
    longitude: float


SourceContent = bytes | PagePixels  # an image file, or a page that was drawn
MetadataValue = str | int | float | bool | datetime | GeoPoint


@dataclass(frozen=True, slots=True)
class GivenBox:
    """A box that an annotator or a detector drew: x, y, width and height in pixels, as COCO has them."""

    pixels: Box
    score: float | None = None  # of a detector, 0..1


@dataclass(frozen=True, slots=True)
class GivenBoxes:
    """The boxes of one picture."""

    boxes: tuple[GivenBox, ...] = ()
    size: tuple[int, int] | None = None  # of the picture that they were drawn on; None: of the file


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source provides about an image in addition to its pixels."""

    label: str = ""
    caption: str = ""
    # By property. The type of a value decides the type of its property.
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    boxes: GivenBoxes | None = None  # with `--regions boxes`; in no digest of facts, since regions have their own


@dataclass(frozen=True, slots=True)
class SourceItem:
    """An image in a source. `read` and `facts` are called in worker threads, once each, and may raise UnusableFile."""

    key: str  # the object's path and, through its UUID, its identity: forward slashes, valid UTF-8
    source: str  # the folder, archive, table or address it was found in: what --prune looks at
    stamp: str  # changes with bytes, facts or the way to read them; "" if that needs reading the file
    read: Callable[[], SourceContent]  # the image file, one made of the frame, or the page that was drawn
    facts: Callable[[SourceContent], Facts]  # of what `read` gave
    fit: Fit = Fit.CROP
    held_bytes: int = 0  # memory that the item occupies, if it comes out of a stream


@dataclass(frozen=True, slots=True)
class StoredState:
    """What the database stores under a key, for comparison with a source."""

    sha256: str
    fit: str
    stamp: str
    facts: str  # digest
    source: str
    phash: str
    regions: str = ""  # the stamp of its regions, "" if it has none


@dataclass(frozen=True, slots=True)
class RegionCrop:
    """A corner of a page, cut out when the page was drawn."""

    box: Box
    file: bytes
    corner: str
    line_grid: str


@dataclass(frozen=True, slots=True)
class RegionTask:
    """Regions to be made of an image, and stored before the image records that they are there."""

    stamp: str  # of these regions, for the image
    picture: bytes  # an image file that any sidecar reads, upright or with its orientation; empty if there are crops
    facts: Facts  # label and caption are copied
    boxes: GivenBoxes | None = None  # None: from a grid or the sidecar
    crops: tuple[RegionCrop, ...] = ()  # all of its regions, where they are cut out already
    was_stamped: bool = False  # the database has complete regions of other options or of another version


@dataclass(frozen=True, slots=True)
class RegionResult:
    """What an image records of its regions, which are stored. Stamp "": there are none any more."""

    stamp: str
    count: int = 0
    remark: str = ""  # which boxes could not be used, and why


@dataclass(frozen=True, slots=True)
class ImageObject:
    """A whole object for the database."""

    key: str
    source: str
    stamp: str
    sha256: str  # hex digest of what was read: of a file its bytes, of a page its pixels
    fit: Fit
    facts: Facts
    mime: str
    size: int  # bytes of the file; of a page those that are embedded
    image: bytes  # to embed: the file, the padded picture or the model's input; emptied once it need not be stored
    thumbnail: bytes | None = None  # a JPEG
    phash: str = ""  # perceptual hash, 16 hex digits
    vector_d: Vectors | None = None  # (D,); None: Weaviate's module makes it
    duplicate_of: str = ""  # the key of an equal image that was there before
    replaces: bool = False  # the database holds another version
    damage: str = ""  # what is wrong with the file: "96% of it can be decoded"
    ignored_profile: str = ""  # why its colour profile was not used
    regions: RegionTask | RegionResult | None = None  # None: it gets no regions, and loses those of an older version

    @property
    def held_bytes(self) -> int:
        extra = count_task_bytes(self.regions) if not shares_picture(self) else 0
        return len(self.image) + len(self.thumbnail or b"") + extra + 2048


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of properties. The image in the database is the same, and its vector stays."""

    key: str
    source: str
    stamp: str
    facts: Facts | None  # None: unchanged
    phash: str = ""  # "": unchanged
    regions: RegionTask | RegionResult | None = None  # None: unchanged, except for the facts that they copy

    @property
    def held_bytes(self) -> int:
        return count_task_bytes(self.regions) + 2048


def count_task_bytes(regions: RegionTask | RegionResult | None) -> int:
    if not isinstance(regions, RegionTask):
        return 0
    return len(regions.picture) + sum(len(crop.file) for crop in regions.crops)


def shares_picture(item: ImageObject) -> bool:
    """Whether what is embedded and what regions are cut from are one value in memory."""
    return isinstance(item.regions, RegionTask) and item.regions.picture is item.image


class Status(StrEnum):
    """The result of one image. Every image listed gets exactly one."""

    ADDED = "added"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """Event: what happened to an image."""

    key: str
    status: Status
    reason: str = ""  # why it failed
    source: str = ""
    sha256: str = ""  # of what was uploaded
    duplicate_of: str = ""  # the key of an equal image that was there before
    damage: str = ""  # what is wrong with a file that was used all the same
    ignored_profile: str = ""  # why its colour profile was not used
    regions: int = 0  # stored for it in this run
    region_remark: str = ""  # which boxes could not be used, and why


def digest_facts(facts: Facts) -> str:
    """Return 16 hex digits that are equal for equal facts, in any order of the metadata."""
    metadata = {name: to_json_value(value) for name, value in facts.metadata.items()}
    text = json.dumps([facts.label, facts.caption, metadata], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def to_json_value(value: MetadataValue) -> str | int | float | bool | list[float]:
    if isinstance(value, datetime):
        return format_rfc3339(value)
    return [value.latitude, value.longitude] if isinstance(value, GeoPoint) else value


def format_rfc3339(time: datetime) -> str:
    """Return a date as Weaviate stores it.

    >>> format_rfc3339(datetime(2024, 2, 29, 12))
    '2024-02-29T12:00:00+00:00'
    """
    return add_time_zone(time).isoformat()


def add_time_zone(time: datetime) -> datetime:
    """Return the time with its zone, UTC if it has none."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)
