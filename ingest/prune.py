"""`--prune`: delete the objects whose images are gone from their source, with a limit against mistakes."""

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
    """Nothing was removed: more would go than the limit allows, or not everything could be listed."""


@dataclass(frozen=True, slots=True)
class PruneLimit:
    """How much may be removed at once: a number of objects, or a percentage of the objects of these sources."""

    objects: int | None = None
    percent: int = 10

    @classmethod
    def parse(cls, text: str) -> "PruneLimit":
        """Parse `500` or `20%`. Raises InputError.

        >>> PruneLimit.parse("20%").allows(vanished=20, of=100)
        True
        """
        number = text.removesuffix("%")
        if not number.isdecimal() or (text.endswith("%") and int(number) > 100):
            raise InputError(f"{text!r} is no limit; give a number of objects or a percentage, for example 500 or 20%")
        return cls(percent=int(number)) if text.endswith("%") else cls(objects=int(number))

    def allows(self, vanished: int, of: int) -> bool:
        return 100 * vanished <= self.percent * of if self.objects is None else vanished <= self.objects


@dataclass(slots=True)
class RecordingSource:
    """A Source that records what it lists."""

    source: Source
    keys: set[str] = field(default_factory=set)
    unlisted: list[ItemOutcome] = field(default_factory=list)  # what could not be listed may still exist

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
    """Delete the objects that the sources, which were iterated over before, no longer contain. Return their number.

    Raises PruneRefused beyond `limit`, and if a vanished image may be in something that could not be listed;
    Unreachable.
    """
    listed = {add_prefix(key, selection.prefix) for source in sources for key in source.keys}
    all_keys = patience.call(lambda: list(store.keys([source.name for source in sources])))
    stored = [key for key in all_keys if is_selected(key, selection)]
    vanished = [key for key in stored if key not in listed]
    for source in sources:
        check_unlisted(source, vanished, selection.prefix)
    if not limit.allows(len(vanished), len(stored)):
        raise PruneRefused(
            f"{len(vanished)} of {len(stored)} images have vanished from the source, for example {vanished[0]}; "
            f"nothing was removed: if that is right, add --prune-limit {len(vanished)} (or 100%)"
        )
    for group in split_groups(vanished, REMOVE_BATCH) if really else ():
        patience.call(lambda: store.unlink(group))  # noqa: B023 - called at once
        patience.call(lambda: store.delete(group))  # noqa: B023
    return len(vanished)


def check_unlisted(source: RecordingSource, vanished: Sequence[str], prefix: str) -> None:
    for unlisted in source.unlisted:
        inside = list_inside_prefixes(add_prefix(unlisted.key, prefix))
        if any(key.startswith(inside) for key in vanished):
            raise PruneRefused(
                f"nothing was removed, because not everything could be listed ({unlisted.key}: {unlisted.reason}); "
                "repair or remove that, or exclude it with --ignore, which removes its images too"
            )


def list_inside_prefixes(key: str) -> tuple[str, ...]:
    """Return the prefixes of keys inside a folder, an archive or a document; of a row they are unknown."""
    if "#row=" in key or key.split("/")[-1] == ".":
        return ("",)
    whole = key.removesuffix("::")
    return f"{whole}/", f"{whole}::", f"{whole}#"


def is_selected(key: str, selection: Selection) -> bool:
    """Whether the run's prefix and shard include the key."""
    return key.startswith(add_prefix("", selection.prefix)) and (selection.shard is None or selection.shard.has(key))


def check_prune(selection: Selection, retry: bool) -> None:
    """Raise InputError if only a part is listed, because everything else would seem to have vanished."""
    if selection.limit is not None or retry:
        raise InputError("--prune needs the whole source: remove --limit and --retry-failed")
