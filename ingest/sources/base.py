"""The contract of sources: an iterable that lists images one by one and reads none of them.

A source lists `FileEntry`s without opening them; `expand_entry` (file_types.py) makes the `SourceItem`s of each:
one of an image, one per page of a PDF file.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from clip_vectorizer.images.pdf_passwords import PdfPassword
from ingest.choices import DPI, Fit
from ingest.items import Facts, ItemOutcome, SourceItem

# A file written within the resolution of its file system's clock may change again and keep its time and size.
SETTLED_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is no image according to its extension. With a reason, it is an annotation that no image uses."""

    key: str
    reason: str = ""
    source: str = ""


SourceResult = SourceItem | ItemOutcome | SkippedFile  # an outcome: a file that could not be listed, and the reason
FileOpener = Callable[[], BinaryIO]


class Source(Protocol):
    """Iterable any number of times, in the same order as long as nothing changes.

    Opening a source raises InputError when it does not exist or is not of the type that its name implies.
    """

    @property
    def name(self) -> str:
        """Absolute path or URL, stored with every object as its origin."""

    def __iter__(self) -> Iterator[SourceResult]: ...


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file somewhere. `open` and `facts` are called in worker threads and may raise OSError or UnusableFile."""

    key: str
    source: str
    stamp: str  # `make_stamp(...)`, "" when changes cannot be detected without reading
    open: Callable[[], BinaryIO]  # seekable
    facts: Callable[[], Facts]  # caption and metadata from files next to it
    held_bytes: int = 0  # memory that the entry keeps, if it comes out of a stream


@dataclass(frozen=True, slots=True)
class PropertyColumn:
    """A column of a table, or a field of the .json file of an image, that becomes a property."""

    name: str
    property: str
    type: str = ""  # text, int, number, boolean, date; "": the type in the file, which is text in a CSV file


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options for reading sources. Every option that changes an item's bytes or facts must change its stamp."""

    ignore: tuple[str, ...] = ()  # patterns as in .gitignore
    hidden: bool = False  # files and folders whose names begin with a dot
    fit: Fit | None = None  # None: pad pages, leave the rest to the model
    dpi: int = DPI  # of PDF pages
    pdf_passwords: tuple[PdfPassword, ...] = ()  # of encrypted PDF files, tried in turn; they change no bytes
    frames: bool = False  # every page of a TIFF and every frame of a GIF, instead of the first
    exif: bool = False  # time, camera and place become properties
    columns: tuple[PropertyColumn, ...] = ()  # that become properties
    path_column: str | None = None  # None: the first column with a usual name
    label_column: str | None = None
    caption_column: str | None = None
    box_field: str | None = None  # of photo.json: boxes in the picture
    root: str | None = None  # base of relative paths; None: the table's folder, for stdin the working directory
    nul: bool = False  # paths on stdin end with NUL, not with a new line
    storage: dict[str, str] = field(default_factory=dict)  # for fsspec: endpoint_url=..., anon=true
    allow_addresses: tuple[str, ...] = ()  # hosts and networks to open besides public ones (AddressGuard.parse)


def make_stamp(*parts: object) -> str:
    """Return a short digest of everything that may change: sizes, times, options."""
    return hashlib.blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def is_settled(modified_ns: int) -> bool:
    """Whether the next change of the file is certain to change its modification time."""
    return time.time_ns() - modified_ns > SETTLED_SECONDS * 1e9
