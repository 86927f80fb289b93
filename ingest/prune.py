"""`--prune`: objects whose images are gone from their source go too, behind a guard."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from clip_vectorizer.errors import InputError, VectorizerError
from ingest.items import ItemOutcome
from ingest.listing import Selection, add_prefix
from ingest.pipeline import split_groups
from ingest.retry import Patience
from ingest.sources.base import SkippedFile, Source, SourceResult
from ingest.store.base import ImageStore

REMOVE_BATCH = 256  # objects in one request


class PruneRefused(VectorizerError):
    """More would go than a person may have meant."""


@dataclass(frozen=True, slots=True)
class PruneLimit:
    """How much may go at once: a number of objects, or a share of what the sources brought in."""

    objects: int | None = None
    percent: int = 10

    @classmethod
    def parse(cls, text: str) -> "PruneLimit":
        """`500` or `20%`. Raises InputError."""
        number = text.removesuffix("%")
        if not number.isdecimal() or (text.endswith("%") and int(number) > 100):
            raise InputError(f"{text!r} is no limit; write a number of objects or a share, for example 500 or 20%")
        return cls(percent=int(number)) if text.endswith("%") else cls(objects=int(number))

    def allows(self, vanished: int, of: int) -> bool:
        return 100 * vanished <= self.percent * of if self.objects is None else vanished <= self.objects


@dataclass(slots=True)
class RecordingSource:
    """A source that remembers what it found. Obeys Source."""

    source: Source
    keys: set[str] = field(default_factory=set)
    unlisted: list[ItemOutcome] = field(default_factory=list)  # what could not be listed: it may still be there

    @property
    def name(self) -> str:
        return self.source.name

    def __iter__(self) -> Iterator[SourceResult]:
        self.keys.clear()
        self.unlisted.clear()
        for found in self.source:
            if not isinstance(found, SkippedFile):
                self.keys.add(found.key)
            if isinstance(found, ItemOutcome):
                self.unlisted.append(found)
            yield found


def prune(
    sources: Sequence[RecordingSource],
    store: ImageStore,
    selection: Selection,
    limit: PruneLimit,
    patience: Patience,
    really: bool = True,
) -> int:
    """Removes what vanished from the sources, after they were iterated over; how many objects that were.

    Raises PruneRefused beyond `limit`, and when something may lie in what could not be listed; Unreachable.
    """
    listed = {add_prefix(key, selection.prefix) for source in sources for key in source.keys}
    known = patience.call(lambda: list(store.keys([source.name for source in sources])))
    stored = [key for key in known if is_selected(key, selection)]
    vanished = [key for key in stored if key not in listed]
    for source in sources:
        check_unlisted(source, vanished, selection.prefix)
    if not limit.allows(len(vanished), len(stored)):
        raise PruneRefused(
            f"{len(vanished)} of {len(stored)} images have vanished from the source, for example {vanished[0]}; "
            f"nothing was removed: if that is right, say --prune-limit {len(vanished)} (or 100%)"
        )
    for group in split_groups(vanished, REMOVE_BATCH) if really else ():
        patience.call(lambda: store.unlink(group))  # noqa: B023 - called at once
        patience.call(lambda: store.forget(group))  # noqa: B023
    return len(vanished)


def check_unlisted(source: RecordingSource, vanished: Sequence[str], prefix: str) -> None:
    for unlisted in source.unlisted:
        inside = list_inside_prefixes(add_prefix(unlisted.key, prefix))
        if any(key.startswith(inside) for key in vanished):
            raise PruneRefused(
                f"nothing was removed, for not all could be listed ({unlisted.key}: {unlisted.reason}); mend or remove "
                "that, or leave it out with --ignore, and what it held is removed, too"
            )


def list_inside_prefixes(key: str) -> tuple[str, ...]:
    """How the keys begin of all that may lie in a folder, an archive or a document; of a row nobody knows it."""
    if "#row=" in key or key.split("/")[-1] == ".":
        return ("",)
    whole = key.removesuffix("::")
    return f"{whole}/", f"{whole}::", f"{whole}#"


def is_selected(key: str, selection: Selection) -> bool:
    return key.startswith(add_prefix("", selection.prefix)) and (selection.shard is None or selection.shard.has(key))


def check_prune(selection: Selection, retry: bool) -> None:
    """Raises InputError where only a part is listed: all the rest would look vanished."""
    if selection.limit is not None or retry:
        raise InputError("--prune needs the whole source: leave out --limit and --retry-failed")
