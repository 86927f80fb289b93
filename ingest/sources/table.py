"""Tables of paths or URLs: each row is an image; other columns give its label, caption and properties."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import BinaryIO

from clip_vectorizer.errors import InputError
from clip_vectorizer.threads import DaemonThreads
from ingest.items import Facts, ItemOutcome, Status, UnusableFile
from ingest.sources.base import FileEntry, InvalidRow, SourceOptions, TableRow, make_stamp
from ingest.sources.entries import Listing, ListingEntry, check_source_name
from ingest.sources.locations import FileLocation, locate
from ingest.sources.property_values import parse_properties, parse_text
from ingest.sources.reading import open_regular
from ingest.sources.table_rows import choose_format
from ingest.sources.transport import Transport
from ingest.sources.urls import parent_url, strip_secrets

# A stamp is needed before the file is read, and that of a URL costs a request: so many run at the same time, while the
# listing stays in the order of the rows.
REQUESTS_AT_ONCE = 16
MAX_ROWS_AHEAD = 64
# The column of paths is the first of these names that the table has, in upper or lower case.
PATH_COLUMNS = (
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "image",
    "image_path",
    "image_url",
    "url",
    "uri",
)
MAX_NAMED_COLUMNS = 30


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
    source = TableSource(name, short, rows, chosen, base, options, transport or Transport(options.storage))
    return Listing(name, source.entries, options)


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    path: str
    label: str | None
    caption: str | None
    used: tuple[str, ...]  # all columns that are read, without duplicates


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
        """List one entry or failure per row, in the order of the rows."""
        threads: list[DaemonThreads] = []  # none if all files are on disk
        ahead: deque[ListingEntry | Future[ListingEntry]] = deque()
        try:
            for listed in self._request_stamps(threads):
                ahead.append(listed)
                if len(ahead) > MAX_ROWS_AHEAD:
                    yield resolve_entry(ahead.popleft())
            while ahead:
                yield resolve_entry(ahead.popleft())
        finally:  # after an early stop, cancel the requests that have not begun
            for listed in ahead:
                if isinstance(listed, Future):
                    listed.cancel()

    def _request_stamps(self, threads: list[DaemonThreads]) -> Iterator[ListingEntry | Future[ListingEntry]]:
        seen = SeenKeys()
        for row in self._safe_rows():
            try:
                location, facts = self._read(row)
                seen.add(location.key, row.number)
            except UnusableFile as problem:
                yield ItemOutcome(f"{self.short}#row={row.number}", Status.FAILED, str(problem), self.name)
                continue
            if location.is_remote and not threads:
                threads.append(DaemonThreads(REQUESTS_AT_ONCE, "stamps"))
            work = partial(self._entry, location, facts)
            yield threads[0].submit(work) if location.is_remote else work()

    def _safe_rows(self) -> Iterator[TableRow | InvalidRow]:
        """Yield the rows; a table that cannot be read any further ends with an invalid row."""
        number = 0
        try:
            for row in self.rows():
                number = row.number
                yield row
        except (UnusableFile, OSError) as error:
            yield InvalidRow(number + 1, f"the table cannot be read from here on ({error})")

    def _read(self, row: TableRow | InvalidRow) -> tuple[FileLocation, Facts]:
        if isinstance(row, InvalidRow):
            raise UnusableFile(row.reason)
        check_text(*(row.fields.get(name) for name in self.chosen.used))
        word = row.fields.get(self.chosen.path)
        if not isinstance(word, str) or not word.strip():
            raise UnusableFile(
                f"its column {self.chosen.path!r} is {'no text; choose another by --path-column' if word else 'empty'}"
            )
        location = locate(word.strip(), self.base, self.transport)
        label, caption = (
            parse_text(row.fields.get(name)) if name else "" for name in (self.chosen.label, self.chosen.caption)
        )
        facts = Facts(label, caption, parse_properties(row.fields, self.options.columns))
        return location, facts

    def _entry(self, location: FileLocation, facts: Facts) -> ListingEntry:
        try:
            stamp = location.stamp()
        except UnusableFile as problem:
            return ItemOutcome(location.key, Status.FAILED, str(problem), self.name)
        described = (facts.label, facts.caption, sorted(facts.metadata.items()))
        stamp = make_stamp("row", stamp, described, self.options.columns) if stamp else ""
        return FileEntry(location.key, self.name, stamp, location.open, lambda: facts)


def resolve_entry(listed: ListingEntry | Future[ListingEntry]) -> ListingEntry:
    return listed.result() if isinstance(listed, Future) else listed


@dataclass(frozen=True, slots=True)
class SeenKeys:
    """The rows that named each key: two objects cannot have one key."""

    rows: dict[bytes, int] = field(default_factory=dict)  # by digest, which is shorter than a URL

    def add(self, key: str, number: int) -> None:
        first = self.rows.setdefault(hashlib.blake2b(key.encode(), digest_size=8).digest(), number)
        if first != number:
            raise UnusableFile(f"row {number} names the same file as row {first}: {key}")


def check_text(*values: object) -> None:
    try:
        "".join(value for value in values if isinstance(value, str)).encode()
    except UnicodeEncodeError as error:
        raise UnusableFile("not UTF-8 text; save the table as UTF-8 (Excel: CSV UTF-8)") from error


def choose_columns(columns: Sequence[str], options: SourceOptions) -> ColumnChoice:
    """Choose the columns to read. Raises InputError, which lists the table's columns, if one is missing."""
    path = find_column(options.path_column, columns, "--path-column") or find_usual_column(PATH_COLUMNS, columns)
    if path is None:
        check_column_names(columns)
        raise InputError(
            f"none of its columns is called {', '.join(PATH_COLUMNS)}; "
            f"{format_columns(columns)}; choose by --path-column"
        )
    label = find_column(options.label_column, columns, "--label-column") or find_usual_column(("label",), columns)
    caption = find_column(options.caption_column, columns, "--caption-column") or find_usual_column(
        ("caption",), columns
    )
    mapped = [find_column(column.name, columns, "--property") for column in options.columns]
    used = dict.fromkeys(name for name in (path, label, caption, *mapped) if name)
    for name in used:
        if columns.count(name) > 1:
            raise InputError(f"has {columns.count(name)} columns called {name!r}; give them different names")
    return ColumnChoice(path, label, caption, tuple(used))


def find_column(name: str | None, columns: Sequence[str], option: str) -> str | None:
    if name is None or name in columns:
        return name
    check_column_names(columns)
    close = get_close_matches(name, columns, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"has no column {name!r}, which {option} names{hint} ({format_columns(columns)})")


def check_column_names(columns: Sequence[str]) -> None:
    """Raises InputError for names that are not UTF-8: an option cannot name them, an error cannot show them."""
    try:
        "".join(columns).encode()
    except UnicodeEncodeError as error:
        raise InputError("the names of its columns are not UTF-8 text; save it as UTF-8 (Excel: CSV UTF-8)") from error


def find_usual_column(names: Sequence[str], columns: Sequence[str]) -> str | None:
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def format_columns(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - MAX_NAMED_COLUMNS} more" if len(columns) > MAX_NAMED_COLUMNS else ""
    return "it has " + (", ".join(map(repr, columns[:MAX_NAMED_COLUMNS])) + more if columns else "none")
