"""Read rows of CSV, TSV and JSON lines as a stream: an invalid line is one InvalidRow, and reading continues."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Protocol, TextIO

from clip_vectorizer.errors import InputError
from clip_vectorizer.tables.rows import InvalidRow, TableColumn, TableRow
from ingest.sources.base import FileOpener
from ingest.sources.entries import parse_extension

if TYPE_CHECKING:
    import _csv

SEPARATORS = ",;\t|"
MAX_LINE_LENGTH = 16_000_000  # bytes or characters: a file without line ends must not fill the memory
TOO_LONG = f"a line of {MAX_LINE_LENGTH / 1e6:.0f} MB or more; name files instead of storing such images in the table"
MAX_FIELD_LENGTH = 131_072  # characters in a CSV file's field of several lines: a quote that is not closed ends there
LINES_FOR_COLUMNS = 100  # of JSON, whose lines may have different fields
RowIterator = Iterator[TableRow | InvalidRow]


class TableFormat(Protocol):
    def read_columns(self, open_file: FileOpener) -> Sequence[TableColumn]:
        """Return the columns. Raises InputError, OSError and UnusableFile for a file of another format."""

    def read_rows(self, open_file: FileOpener, used: Sequence[str]) -> RowIterator:
        """Yield rows with the fields of at least the columns in `used`."""


def choose_format(name: str) -> TableFormat:
    kind = parse_extension(name)
    if kind == ".parquet":
        from clip_vectorizer.tables.parquet import ParquetFormat  # needs an extra

        return ParquetFormat()
    return JsonLinesFormat() if kind in (".ndjson", ".jsonl") else CsvFormat("\t" if kind == ".tsv" else "")


@dataclass(frozen=True, slots=True)
class CsvFormat:
    separator: str  # "": the most frequent one in the first line

    def read_columns(self, open_file: FileOpener) -> Sequence[TableColumn]:
        with open_text(open_file) as lines:
            _, header = self._header(lines)
            return list(map(TableColumn, header))

    def read_rows(self, open_file: FileOpener, used: Sequence[str]) -> RowIterator:
        with open_text(open_file) as lines:
            reader, header = self._header(lines)
            while True:
                number = reader.line_num + 1
                try:
                    record = read_record(reader)
                except csv.Error as error:
                    yield InvalidRow(number, f"not CSV ({error}); is a quote opened and not closed?")
                    continue
                if record is None:
                    return
                if any(record):  # Excel ends a table with rows of nothing but separators
                    yield build_row(number, header, record)

    def _header(self, lines: TextIO) -> tuple["_csv.Reader", list[str]]:
        separator, first = self._separator(lines)
        rest = iter(lambda: lines.readline(MAX_LINE_LENGTH), "")
        reader = csv.reader(allow_long_lines(prepend_line(first, rest)), delimiter=separator, strict=True)
        try:
            for record in reader:
                if record and not record[0].lower().startswith("sep="):  # Excel's own hint
                    return reader, [name.strip() for name in record]
        except csv.Error as error:
            raise InputError(f"its first line is not CSV ({error})") from error
        raise InputError("empty; its first line must name the columns")

    def _separator(self, lines: TextIO) -> tuple[str, str]:
        first = lines.readline(MAX_LINE_LENGTH)
        if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5:
            return first[4], first
        outside_quotes = "".join(first.split('"')[::2])
        return self.separator or max(SEPARATORS, key=outside_quotes.count), first


def allow_long_lines(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines, and let a field be as long as its line, for an image in base64; see `read_record`."""
    for line in lines:
        if len(line) > MAX_FIELD_LENGTH:
            csv.field_size_limit(len(line) + MAX_FIELD_LENGTH)
        yield line


def read_record(reader: "_csv.Reader") -> list[str] | None:
    """Return the next record, None at the end. The csv module's limit, which is global, is set back."""
    before = csv.field_size_limit(MAX_FIELD_LENGTH)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def prepend_line(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
        yield from rest


def build_row(number: int, header: Sequence[str], record: Sequence[str]) -> TableRow | InvalidRow:
    """Build a row; fields that are missing at its end are left out."""
    if len(record) > len(header):
        return InvalidRow(number, f"{len(record)} fields, where the first line names {len(header)} columns")
    return TableRow(number, dict(zip(header, record, strict=False)))


@contextmanager
def open_text(open_file: FileOpener) -> Iterator[TextIO]:
    """Open as UTF-8 with or without a byte order mark, or UTF-16 as Excel writes it. Other bytes become surrogates."""
    with open_file() as file:
        mark = file.read(2)
        file.seek(0)
        encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        buffered = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
        yield io.TextIOWrapper(buffered, encoding, errors="surrogateescape", newline="")


class JsonLinesFormat:
    def read_columns(self, open_file: FileOpener) -> Sequence[TableColumn]:
        rows = islice(self.read_rows(open_file, ()), LINES_FOR_COLUMNS)  # one at a time: a row may hold an image
        names = dict.fromkeys(name for row in rows if isinstance(row, TableRow) for name in row.fields)
        if not names:
            raise InputError('no JSON object in its first lines; each line must be one, as {"path": "a.jpg"}')
        return list(map(TableColumn, names))

    def read_rows(self, open_file: FileOpener, used: Sequence[str]) -> RowIterator:
        with open_file() as file:
            for number, line in enumerate(read_lines(file), start=1):
                if line.strip():
                    yield parse_json_row(number, line)


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield lines; a line longer than MAX_LINE_LENGTH is cut off and so is invalid JSON."""
    buffered = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    while line := buffered.readline(MAX_LINE_LENGTH):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = buffered.readline(MAX_LINE_LENGTH)
        yield line


def parse_json_row(number: int, line: bytes) -> TableRow | InvalidRow:
    if len(line) >= MAX_LINE_LENGTH:
        return InvalidRow(number, TOO_LONG)
    try:
        fields = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except (ValueError, RecursionError) as error:
        return InvalidRow(number, f"not JSON in UTF-8 ({error})")
    if not isinstance(fields, dict):
        return InvalidRow(number, f"not a JSON object but a {type(fields).__name__}")
    return TableRow(number, fields)
