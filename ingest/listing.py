"""List what the sources contain: each image once, in the part that the run selects."""

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
    """The `index`th (from 1) of `count` disjoint parts of about equal size, which together are everything."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse `2/8`. Raises InputError.

        >>> Shard.parse("2/8")
        Shard(index=2, count=8)
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise InputError(f"{text!r} is no shard; give the part and the number of parts, from 1/8 to 8/8")
        return cls(int(index), int(count))

    def has(self, key: str) -> bool:
        return UUID(image_id(key)).int % self.count == self.index - 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of the listed items a run processes, and the prefix of their keys."""

    prefix: str = ""
    shard: Shard | None = None
    limit: int | None = None
    only: Callable[[SourceItem | ItemOutcome], bool] | None = None

    @property
    def is_part(self) -> bool:
        return bool(self.shard or self.only)

    def has(self, found: SourceItem | ItemOutcome) -> bool:
        return self.only is None or self.only(found)


COUNTED_AT_ONCE = 64  # images in a ListingProgress; divides what is looked up at once, so that counts are never behind


@dataclass(frozen=True, slots=True)
class ListingProgress:
    """Event: `count` more images are listed; `complete`: the listing has ended."""

    count: int
    complete: bool = False


def list_items(sources: Sequence[Source], selection: Selection, emit: Callable[[object], None]) -> Iterator[SourceItem]:
    """Yield the items of all sources.

    Emits a ListingProgress now and then, a SkippedFile for files that are no images, and a failed ItemOutcome for what
    cannot be listed. Of two different images with one key the first is used and the second fails, because they would
    overwrite each other; an image listed twice counts once.
    """
    count = 0
    for found in islice(select_items(sources, selection, emit), selection.limit):
        count += 1
        if isinstance(found, SourceItem) and not found.held_bytes and count < COUNTED_AT_ONCE:
            yield found
            continue
        emit(ListingProgress(count))
        count = 0
        if isinstance(found, SourceItem):
            yield found
        else:
            emit(found)
    emit(ListingProgress(count, complete=True))


def select_items(
    sources: Sequence[Source], selection: Selection, emit: Callable[[object], None]
) -> Iterator[SourceItem | ItemOutcome]:
    taken: dict[str, str] = {}  # source by key; a single source has no duplicate keys
    for found in chain.from_iterable(sources):
        if isinstance(found, SkippedFile):
            if not selection.shard or selection.shard.has(found.key):  # of all shards, one reports it
                emit(found)
            continue
        if selection.prefix:
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
    """Return the key in the folder `prefix`.

    >>> add_prefix("cat.jpg", "pets/"), add_prefix("cat.jpg", "")
    ('pets/cat.jpg', 'cat.jpg')
    """
    name = prefix.strip("/")
    return f"{name}/{key}" if name else key


def fail_clash(second: SourceItem, first: str) -> ItemOutcome:
    """Return the outcome of an item whose key another source uses."""
    reason = f"{second.source} would overwrite what {first} has under this path; ingest one of them with --prefix NAME"
    return ItemOutcome(second.key, Status.FAILED, reason, second.source)
