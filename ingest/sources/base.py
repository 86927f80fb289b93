"""What every source is: something to iterate over, which finds images one by one and reads none of them.

A source finds `FileEntry`s, files of which it does not ask what they hold; `expand` (kinds.py) makes the `Item`s of each:
one of a picture, one a page of a PDF file.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from ingest.choices import Fit
from ingest.items import Facts, ItemOutcome, SourceItem

# A file written within the resolution of its file system's clock may change again and keep its time and size.
SETTLED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is no image by its name."""

    key: str


SourceResult = SourceItem | ItemOutcome | SkippedFile  # an Outcome: what could not even be listed, and why


class Source(Protocol):
    """Iterated over as often as one likes, and in the same order as long as nothing changes.

    Raises InputError when it is opened and does not exist or cannot be what it is named for.
    """

    @property
    def name(self) -> str:
        """Absolute: what objects remember as where they come from."""

    def __iter__(self) -> Iterator[SourceResult]: ...


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file somewhere. `open` and `facts` are called in worker threads and may raise OSError or UnusableFile."""

    key: str
    source: str
    stamp: str  # `stamp_of(...)`, "" when what changes cannot be known without reading
    open: Callable[[], BinaryIO]  # seekable
    facts: Callable[[], Facts]  # caption and metadata that lie beside the file
    held_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PropertyColumn:
    """A column of a table (or a field of a .json file beside an image) that becomes a property."""

    name: str
    property: str
    type: str = ""  # text, int, number, boolean, date; "" as the file has it, text in a CSV file


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """How sources are read. What changes an item's bytes or facts must change its stamp."""

    ignore: tuple[str, ...] = ()  # patterns as in .gitignore
    hidden: bool = False  # files and folders whose names begin with a dot
    fit: Fit | None = None  # None: pages are padded, all else is left to the model
    dpi: int = 150  # of PDF pages
    frames: bool = False  # every page of a TIFF and every frame of a GIF, instead of the first
    exif: bool = False  # time, camera and place become properties
    columns: tuple[PropertyColumn, ...] = ()  # what becomes a property
    path_column: str | None = None  # None: the first that has a usual name
    label_column: str | None = None
    caption_column: str | None = None
    root: str | None = None  # where relative paths of a table or of stdin begin; None: the table's folder
    nul: bool = False  # paths on stdin end with NUL, not with a new line
    storage: dict[str, str] = field(default_factory=dict)  # for fsspec: endpoint_url=..., anon=true


def make_stamp(*parts: object) -> str:
    """A short digest of everything that may change: sizes, times, options."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def is_settled(modified_ns: int) -> bool:
    """Whether the time of modification can be trusted to tell the next change."""
    return time.time_ns() - modified_ns > SETTLED_SECONDS * 1e9


@dataclass(frozen=True, slots=True)
class TableRow:
    number: int  # its first line in the file, or its place in a Parquet file, from 1
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class InvalidRow:
    number: int
    reason: str


FileOpener = Callable[[], BinaryIO]
