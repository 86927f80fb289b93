"""Everything that the sources find, once: what is listed, left out, or cannot be listed."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from uuid import UUID

from clip_vectorizer.database.schema import image_id
from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, SourceItem, Status
from ingest.sources.base import SkippedFile, Source


@dataclass(frozen=True, slots=True)
class Shard:
    """The `index`th (from 1) of `count` parts of about equal size; together they are everything, without overlap."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """`2/8`. Raises InputError."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise InputError(f"{text!r} is no shard; write the part and how many there are, from 1/8 to 8/8")
        return cls(int(index), int(count))

    def has(self, key: str) -> bool:
        return UUID(image_id(key)).int % self.count == self.index - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the items found are this run's, and what their keys begin with."""

    prefix: str = ""
    shard: Shard | None = None
    limit: int | None = None
    only: Callable[[SourceItem | ItemOutcome], bool] | None = None

    @property
    def is_part(self) -> bool:
        return bool(self.shard or self.only)

    def has(self, found: SourceItem | ItemOutcome) -> bool:
        return self.only is None or self.only(found)


@dataclass(frozen=True, slots=True)
class ListingProgress:
    """`count` more images are known of; `complete`: these are all."""

    count: int
    complete: bool = False


def list_items(sources: Sequence[Source], selection: Selection, tell: Callable[[object], None]) -> Iterator[SourceItem]:
    """The items of all sources. `tell` gets a Listed for each, a Skipped or a failed Outcome for what is no item.

    Two different images with one key would overwrite each other: the first is taken, the second failed. The same one
    named twice counts once.
    """
    for found in islice(select_items(sources, selection, tell), selection.limit):
        tell(ListingProgress(1))
        if isinstance(found, SourceItem):
            yield found
        else:
            tell(found)
    tell(ListingProgress(0, complete=True))


def select_items(
    sources: Sequence[Source], selection: Selection, tell: Callable[[object], None]
) -> Iterator[SourceItem | ItemOutcome]:
    taken: dict[str, str] = {}  # source by key; one source alone has no key twice
    for found in chain.from_iterable(sources):
        if isinstance(found, SkippedFile):
            if not selection.shard or selection.shard.has(found.key):  # all parts together tell it once
                tell(found)
            continue
        found = dataclasses.replace(found, key=add_prefix(found.key, selection.prefix))
        if selection.shard and not selection.shard.has(found.key):
            continue
        if isinstance(found, SourceItem) and len(sources) > 1:
            first = taken.get(found.key)
            if first == found.source:
                continue
            found = fail_clash(found, first) if first else found
            taken.setdefault(found.key, found.source)
        if selection.has(found):
            yield found


def add_prefix(key: str, prefix: str) -> str:
    name = prefix.strip("/")
    return f"{name}/{key}" if name else key


def fail_clash(second: SourceItem, first: str) -> ItemOutcome:
    reason = f"{second.source} would overwrite what {first} has under this path; ingest one of them with --prefix NAME"
    return ItemOutcome(second.key, Status.FAILED, reason, second.source)
