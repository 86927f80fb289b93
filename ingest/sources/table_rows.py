"""Rows of CSV, TSV and JSON lines, read as a stream: a bad line is one bad row, and the next one is read."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Protocol, TextIO

from clip_vectorizer.errors import InputError
from ingest.sources.base import FileOpener, InvalidRow, TableRow
from ingest.sources.entries import parse_extension

if TYPE_CHECKING:
    import _csv

SEPARATORS = ",;\t|"
MAX_LINE_LENGTH = 16_000_000  # bytes or characters; a file without line ends must not fill the memory
LINES_FOR_COLUMNS = 100  # of JSON, whose lines need not have the same fields


RowIterator = Iterator[TableRow | InvalidRow]


class TableFormat(Protocol):
    def columns(self, open_file: FileOpener) -> Sequence[str]:
        """In their order. Raises InputError, OSError and UnusableFile for a file that is none of this format."""

    def rows(self, open_file: FileOpener, used: Sequence[str]) -> RowIterator:
        """With the fields of at least the columns in `used`."""


def choose_format(name: str) -> TableFormat:
    kind = parse_extension(name)
    if kind == ".parquet":
        from ingest.sources.table_parquet import ParquetFormat  # needs an extra

        return ParquetFormat()
    return JsonLinesFormat() if kind in (".ndjson", ".jsonl") else CsvFormat("\t" if kind == ".tsv" else "")


@dataclass(frozen=True, slots=True)
class CsvFormat:
    separator: str  # "": the one that the first line has most of

    def columns(self, open_file: FileOpener) -> Sequence[str]:
        with open_text(open_file) as lines:
            _, header = self._header(lines)
            return header

    def rows(self, open_file: FileOpener, used: Sequence[str]) -> RowIterator:
        with open_text(open_file) as lines:
            reader, header = self._header(lines)
            while True:
                number = reader.line_num + 1
                try:
                    record = next(reader, None)
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
        reader = csv.reader(prepend_line(first, rest), delimiter=separator, strict=True)
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


def prepend_line(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
        yield from rest


def build_row(number: int, header: Sequence[str], record: Sequence[str]) -> TableRow | InvalidRow:
    """Fields that are missing at the end are empty."""
    if len(record) > len(header):
        return InvalidRow(number, f"{len(record)} fields, where the first line names {len(header)} columns")
    return TableRow(number, dict(zip(header, record, strict=False)))


@contextmanager
def open_text(open_file: FileOpener) -> Iterator[TextIO]:
    """UTF-8 with or without a mark, and the UTF-16 that Excel writes. Bytes that are neither come out as surrogates."""
    with open_file() as file:
        mark = file.read(2)
        file.seek(0)
        encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        buffered = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
        yield io.TextIOWrapper(buffered, encoding, errors="surrogateescape", newline="")


class JsonLinesFormat:
    def columns(self, open_file: FileOpener) -> Sequence[str]:
        found = [row for row in islice(self.rows(open_file, ()), LINES_FOR_COLUMNS) if isinstance(row, TableRow)]
        if not found:
            raise InputError('no JSON object in its first lines; each line must be one, as {"path": "a.jpg"}')
        return list(dict.fromkeys(name for row in found for name in row.fields))

    def rows(self, open_file: FileOpener, used: Sequence[str]) -> RowIterator:
        with open_file() as file:
            for number, line in enumerate(read_lines(file), start=1):
                if line.strip():
                    yield parse_json_row(number, line)


def read_lines(file: BinaryIO) -> Iterator[bytes]:
    """What is longer than LONGEST_LINE is cut off, and so no JSON any more."""
    buffered = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    while line := buffered.readline(MAX_LINE_LENGTH):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = buffered.readline(MAX_LINE_LENGTH)
        yield line


def parse_json_row(number: int, line: bytes) -> TableRow | InvalidRow:
    try:
        fields = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except (ValueError, RecursionError) as error:
        return InvalidRow(number, f"not JSON in UTF-8 ({error})")
    if not isinstance(fields, dict):
        return InvalidRow(number, f"no JSON object but a {type(fields).__name__}")
    return TableRow(number, fields)
