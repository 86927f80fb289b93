"""Tables of paths or addresses: each row an image, with what its other columns tell of it."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO

from clip_vectorizer.errors import InputError
from clip_vectorizer.threads import DaemonThreads
from ingest.items import Facts, Fate, Outcome, UnusableFile
from ingest.sources.addresses import folder_of, public
from ingest.sources.base import Entry, SourceOptions, stamp_of
from ingest.sources.columns import properties_of, text_of
from ingest.sources.far import Far
from ingest.sources.listing import Listed, Listing, sound_name
from ingest.sources.located import Place, locate
from ingest.sources.reading import open_regular
from ingest.sources.table_columns import Chosen, choose
from ingest.sources.table_rows import BadRow, Row, format_of

# A stamp must be known before anything is read, and that of an address costs a request: so many are on their way
# while the listing goes on, in the order of the rows.
REQUESTS_AT_ONCE = 16
ROWS_AHEAD = 64


def open_table(path: str, options: SourceOptions, far: Far | None = None) -> Listing:
    """The rows of a file on disk. Raises InputError for what is no table or has no column of paths."""
    path = sound_name(os.path.abspath(path))  # noqa: PTH100 - not resolve(): the name is the one the user sees
    base = options.root or os.path.dirname(path)  # noqa: PTH120
    return table(path, partial(open_regular, path), base, options, far)


def open_far_table(address: str, options: SourceOptions, far: Far) -> Listing:
    """As `open_table`, of a file at an address."""
    base = options.root or folder_of(address)
    return table(public(address), partial(far.open, address), base, options, far)


def table(
    name: str, open_file: Callable[[], BinaryIO], base: str, options: SourceOptions, far: Far | None = None
) -> Listing:
    """`base`: the folder or address where relative paths begin."""
    rows_in, short = format_of(name), name.rpartition("/")[2]
    try:
        chosen = choose(rows_in.columns(open_file), options)
        if next(rows_in.rows(open_file, chosen.used), None) is None:
            raise InputError("no rows in this table")
    except (InputError, UnusableFile, OSError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else problem
        raise InputError(f"{name}: {reason}") from problem
    rows = partial(rows_in.rows, open_file, chosen.used)
    whole = Table(name, short, rows, chosen, base, options, far or Far(options.storage))
    return Listing(name, whole.entries, options)


@dataclass(frozen=True)
class Table:
    name: str
    short: str
    rows: Callable[[], Iterator[Row | BadRow]]
    chosen: Chosen
    base: str
    options: SourceOptions
    far: Far

    def entries(self) -> Iterator[Listed]:
        """One a row, in their order."""
        threads: list[DaemonThreads] = []  # none where all is on disk
        ahead: deque[Listed | Future[Listed]] = deque()
        try:
            for listed in self._ask_ahead(threads):
                ahead.append(listed)
                if len(ahead) > ROWS_AHEAD:
                    yield ready(ahead.popleft())
            while ahead:
                yield ready(ahead.popleft())
        finally:  # whoever stops early has no use for what has not begun
            for listed in ahead:
                if isinstance(listed, Future):
                    listed.cancel()

    def _ask_ahead(self, threads: list[DaemonThreads]) -> Iterator[Listed | Future[Listed]]:
        seen = Seen()
        for row in self._safe_rows():
            try:
                place, facts = self._read(row)
                seen.add(place.key, row.number)
            except UnusableFile as problem:
                yield Outcome(f"{self.short}#row={row.number}", Fate.FAILED, str(problem), self.name)
                continue
            if place.is_far and not threads:
                threads.append(DaemonThreads(REQUESTS_AT_ONCE, "stamps"))
            work = partial(self._entry, place, facts)
            yield threads[0].submit(work) if place.is_far else work()

    def _safe_rows(self) -> Iterator[Row | BadRow]:
        """A table that cannot be read any further ends with a bad row."""
        number = 0
        try:
            for row in self.rows():
                number = row.number
                yield row
        except (UnusableFile, OSError) as error:
            yield BadRow(number + 1, f"the table cannot be read from here on ({error})")

    def _read(self, row: Row | BadRow) -> tuple[Place, Facts]:
        if isinstance(row, BadRow):
            raise UnusableFile(row.reason)
        refuse_broken_text(*(row.fields.get(name) for name in self.chosen.used))
        word = row.fields.get(self.chosen.path)
        if not isinstance(word, str) or not word.strip():
            raise UnusableFile(
                f"its column {self.chosen.path!r} is {'no text; choose another by --path-column' if word else 'empty'}"
            )
        place = locate(word.strip(), self.base, self.far)
        label, caption = (text_of(row.fields.get(name)) if name else "" for name in self.chosen.words)
        facts = Facts(label, caption, properties_of(row.fields, self.options.columns))
        return place, facts

    def _entry(self, place: Place, facts: Facts) -> Listed:
        try:
            stamp = place.stamp()
        except UnusableFile as problem:
            return Outcome(place.key, Fate.FAILED, str(problem), self.name)
        told = (facts.label, facts.caption, sorted(facts.metadata.items()))
        stamp = stamp_of("row", stamp, told, self.options.columns) if stamp else ""
        return Entry(place.key, self.name, stamp, place.open, lambda: facts)


def ready(listed: Listed | Future[Listed]) -> Listed:
    return listed.result() if isinstance(listed, Future) else listed


@dataclass(frozen=True, slots=True)
class Seen:
    """Which rows named what: two objects cannot have one key."""

    rows: dict[bytes, int] = field(default_factory=dict)  # by digest, which is shorter than an address

    def add(self, key: str, number: int) -> None:
        first = self.rows.setdefault(hashlib.blake2b(key.encode(), digest_size=8).digest(), number)
        if first != number:
            raise UnusableFile(f"row {number} names what row {first} named: {key}")


def refuse_broken_text(*values: object) -> None:
    try:
        "".join(value for value in values if isinstance(value, str)).encode()
    except UnicodeEncodeError as error:
        raise UnusableFile("not UTF-8 text; save the table as UTF-8 (Excel: CSV UTF-8)") from error
