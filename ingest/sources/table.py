"""Tables: each row is an image, or names one; other columns give its label, caption and properties.

An image in a cell is held in memory from its row on; as for members of a stream, the stages limit how many there are.
"""

import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from typing import BinaryIO

from clip_vectorizer.errors import InputError
from clip_vectorizer.public_urls import strip_secrets
from clip_vectorizer.tables.rows import InvalidRow, TableRow
from clip_vectorizer.threads import DaemonThreads
from ingest.items import Facts, ItemOutcome, Status, UnusableFile
from ingest.sources.base import FileEntry, SourceOptions, make_stamp
from ingest.sources.entries import Listing, ListingEntry, check_source_name
from ingest.sources.locations import FileLocation, locate
from ingest.sources.property_values import parse_properties, parse_text
from ingest.sources.reading import open_regular
from ingest.sources.table_cells import CellFile, normalize_name, parse_cell
from ingest.sources.table_columns import ColumnChoice, choose_columns
from ingest.sources.table_rows import choose_format
from ingest.sources.transport import Transport
from ingest.sources.urls import parent_url

# A stamp is needed before the file is read, and that of a URL costs a request: so many run at the same time, while the
# listing stays in the order of the rows.
REQUESTS_AT_ONCE = 16
MAX_ROWS_AHEAD = 64


def open_table(path: str, options: SourceOptions, transport: Transport | None = None) -> Listing:
    """List the images of a table on disk. Raises InputError for a file that is no table or has no column of paths."""
    path = check_source_name(os.path.abspath(path))  # noqa: PTH100 - not resolve(): the name is the one that the user typed
    base = options.root or os.path.dirname(path)  # noqa: PTH120
    return build_table_listing(path, partial(open_regular, path), base, options, transport)


def open_remote_table(url: str, options: SourceOptions, transport: Transport) -> Listing:
    """As `open_table`, for a file at a URL."""
    base = options.root or parent_url(url)
    return build_table_listing(strip_secrets(url), partial(transport.open, url), base, options, transport)


def build_table_listing(
    name: str, open_file: Callable[[], BinaryIO], base: str, options: SourceOptions, transport: Transport | None = None
) -> Listing:
    """`base`: the folder or URL of relative paths."""
    table_format, short = choose_format(name), name.rpartition("/")[2]
    try:
        chosen = choose_columns(table_format.read_columns(open_file), options)
        if next(table_format.read_rows(open_file, chosen.used), None) is None:
            raise InputError("no rows in this table")
    except (InputError, UnusableFile, OSError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        raise InputError(f"{name}: {reason}") from problem
    rows = partial(table_format.read_rows, open_file, chosen.used)
    source = TableSource(name, short, rows, chosen, base, options, transport or Transport.of(options))
    return Listing(name, source.entries, options)


@dataclass(frozen=True)
class TableSource:
    name: str
    short: str
    rows: Callable[[], Iterator[TableRow | InvalidRow]]
    chosen: ColumnChoice
    base: str
    options: SourceOptions
    transport: Transport

    def entries(self) -> Iterator[ListingEntry]:
        """List an entry for each image or a failure for each row without one, in the order of the rows."""
        threads: list[DaemonThreads] = []  # none if all files are on disk or in the table
        ahead: deque[ListingEntry | Future[ListingEntry]] = deque()
        try:
            for listed in self._request_stamps(threads):
                ahead.append(listed)
                del listed  # it may hold an image
                while ahead and (len(ahead) > MAX_ROWS_AHEAD or is_resolved(ahead[0])):
                    yield resolve_entry(ahead.popleft())
            while ahead:
                yield resolve_entry(ahead.popleft())
        finally:  # after an early stop, cancel the requests that have not begun
            for waiting in ahead:
                if isinstance(waiting, Future):
                    waiting.cancel()

    def _request_stamps(self, threads: list[DaemonThreads]) -> Iterator[ListingEntry | Future[ListingEntry]]:
        seen = SeenKeys()
        for row in self._safe_rows():
            for found in self._list_row(row, seen):
                if not isinstance(found, ReferencedFile):
                    yield found
                    continue
                if found.location.is_remote and not threads:
                    threads.append(DaemonThreads(REQUESTS_AT_ONCE, "stamps"))
                yield threads[0].submit(found.resolve) if found.location.is_remote else found.resolve()

    def _list_row(self, row: TableRow | InvalidRow, seen: "SeenKeys") -> Iterator["ListingEntry | ReferencedFile"]:
        place = f"#row={row.number}"
        try:
            cells, facts = self._read(row)
        except UnusableFile as problem:
            yield self._fail(place, problem)
            return
        for number, cell in enumerate(cells, 1):
            here = f"{place},image={number}" if len(cells) > 1 else place
            try:
                found = self._build(cell, facts, here, row.number, seen)
            except UnusableFile as problem:
                found = self._fail(here, problem)
            yield found

    def _fail(self, place: str, problem: UnusableFile) -> ItemOutcome:
        return ItemOutcome(f"{self.short}{place}", Status.FAILED, str(problem), self.name)

    def _safe_rows(self) -> Iterator[TableRow | InvalidRow]:
        """Yield the rows; a table that cannot be read any further ends with an invalid row."""
        number = 0
        try:
            for row in self.rows():
                number = row.number
                yield row
        except (UnusableFile, OSError) as error:
            yield InvalidRow(number + 1, f"the table cannot be read from here on ({error})")

    def _read(self, row: TableRow | InvalidRow) -> tuple[Sequence[CellFile], Facts]:
        if isinstance(row, InvalidRow):
            raise UnusableFile(row.reason)
        check_text(*(row.fields.get(name) for name in self.chosen.used))
        cells = parse_cell(row.fields.get(self.chosen.path), self.chosen.path)
        if self.chosen.name and len(cells) == 1 and not cells[0].name:
            cells = [replace(cells[0], name=parse_text(row.fields.get(self.chosen.name)))]
        caption = parse_text(row.fields.get(self.chosen.caption)) if self.chosen.caption else ""
        return cells, Facts(self._label(row.fields), caption, parse_properties(row.fields, self.options.columns))

    def _label(self, fields: Mapping[str, object]) -> str:
        value, names = fields.get(self.chosen.label) if self.chosen.label else None, self.chosen.label_names
        if names and isinstance(value, int):
            return names[value] if 0 <= value < len(names) else ""  # -1: none, in Hugging Face's test sets
        return parse_text(value)

    def _build(
        self, cell: CellFile, facts: Facts, place: str, number: int, seen: "SeenKeys"
    ) -> "ListingEntry | ReferencedFile":
        check_text(cell.name)
        if cell.problem:
            raise UnusableFile(cell.problem)
        if cell.data is not None:
            return self._embedded(cell.data, cell.name, facts, place, seen)
        location = locate(cell.name, self.base, self.transport)
        if first := seen.add(location.key, number):
            raise UnusableFile(f"row {number} names the same file as row {first}: {location.key}")
        return ReferencedFile(location, partial(self._entry, location, facts, cell.note))

    def _embedded(self, data: bytes, name: str, facts: Facts, place: str, seen: "SeenKeys") -> FileEntry:
        """Build the entry of an image in a cell. Its key has its name, and its row where that is not its own."""
        name = normalize_name(name)
        key = f"{self.short}::{name}" if name else f"{self.short}{place}"
        if name and seen.add(key, -1):
            key = f"{self.short}{place}::{name}"
        digest = hashlib.blake2b(data, digest_size=16).hexdigest()
        stamp = make_stamp("cell", digest, describe_facts(facts), self.options.columns)
        return FileEntry(key, self.name, stamp, partial(io.BytesIO, data), lambda: facts, len(data))

    def _entry(self, location: FileLocation, facts: Facts, note: str) -> ListingEntry:
        try:
            stamp = location.stamp()
        except UnusableFile as problem:
            return ItemOutcome(location.key, Status.FAILED, f"{note}{problem}", self.name)
        stamp = make_stamp("row", stamp, describe_facts(facts), self.options.columns) if stamp else ""
        return FileEntry(location.key, self.name, stamp, location.open, lambda: facts)


@dataclass(frozen=True, slots=True)
class ReferencedFile:
    """A file that a row names. `resolve` makes its entry, which costs a request if it is remote."""

    location: FileLocation
    resolve: Callable[[], ListingEntry]


def describe_facts(facts: Facts) -> tuple[object, ...]:
    return facts.label, facts.caption, sorted(facts.metadata.items())


def is_resolved(listed: ListingEntry | Future[ListingEntry]) -> bool:
    return not isinstance(listed, Future) or listed.done()


def resolve_entry(listed: ListingEntry | Future[ListingEntry]) -> ListingEntry:
    return listed.result() if isinstance(listed, Future) else listed


@dataclass(frozen=True, slots=True)
class SeenKeys:
    """The rows that named each key: two objects cannot have one key."""

    rows: dict[bytes, int] = field(default_factory=dict)  # by digest, which is shorter than a URL

    def add(self, key: str, number: int) -> int:
        """Return 0, or the row that named the key before."""
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        first = self.rows.get(digest, 0)
        self.rows.setdefault(digest, number)
        return first


def check_text(*values: object) -> None:
    try:
        "".join(value for value in values if isinstance(value, str)).encode()
    except UnicodeEncodeError as error:
        raise UnusableFile("not UTF-8 text; save the table as UTF-8 (Excel: CSV UTF-8)") from error
