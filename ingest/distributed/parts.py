"""Split the sources into parts, each of which one task lists and reads, on any machine.

Open archives and connections of an item cannot be pickled, so every task opens its sources anew.
"""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, SourceItem
from ingest.job import IngestJob
from ingest.listing import Selection, Shard
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions
from ingest.sources.disk import is_glob
from ingest.sources.entries import is_archive, is_table
from ingest.sources.urls import is_url

SEEKABLE_SUFFIXES = (".tar", ".zip")  # archives that can be listed without unpacking


@dataclass(frozen=True, slots=True)
class SourcePart:
    number: int
    words: tuple[str, ...]
    selection: Selection

    def chosen_by(self, only: Callable[[SourceItem | ItemOutcome], bool]) -> "SourcePart":
        return replace(self, selection=replace(self.selection, only=only))


def split_sources(job: IngestJob, count: int) -> list[SourcePart]:
    """Split the job's sources into parts; each image is in exactly one. Raises InputError.

    An archive is its own part if there are enough archives, or if it can only be read from front to end. Everything
    else is listed by each of `count` parts, which select their share of the keys. So two images with one key are in one
    part, where the second fails as it does in a single process.
    """
    alone, shared = split_archives(resolve_source_names(job), count)
    shards = [subdivide_shard(job.settings.selection, number, count) for number in range(count if shared else 0)]
    chosen = [(tuple(words), job.settings.selection) for words in alone]
    chosen += [(tuple(shared), selection) for selection in shards]
    return [SourcePart(number, words, selection) for number, (words, selection) in enumerate(chosen)]


def resolve_source_names(job: IngestJob) -> Iterator[str]:
    """Yield the sources under names that are valid on every machine that has the same files. Raises InputError."""
    for word in job.sources:
        if word == "-":
            raise InputError("`-` needs a single process; write the paths to a table instead: paths.csv")
        if is_url(word):
            yield word
        elif is_glob(word) and not os.path.lexists(word) and (is_archive(word) or is_table(word)):
            yield from (source.name for source in open_sources([word], job.options))
        else:
            yield os.path.abspath(word)  # noqa: PTH100 - not resolve(): the name is the one the user sees


def split_archives(words: Iterator[str], count: int) -> tuple[list[Sequence[str]], Sequence[str]]:
    """Return groups of archives that are parts, equal file names together because of equal keys, and the rest."""
    archives: dict[str, list[str]] = defaultdict(list)
    rest: list[str] = []
    for word in dict.fromkeys(words):
        if is_archive(word):
            archives[word.rstrip("/").rpartition("/")[2]].append(word)
        else:
            rest.append(word)
    few = len(archives) < count
    shared = [name for name in archives if few and name.lower().endswith(SEEKABLE_SUFFIXES)]
    rest += [word for name in shared for word in archives.pop(name)]
    return list(archives.values()), rest


def subdivide_shard(selection: Selection, number: int, count: int) -> Selection:
    """Return the `number`th (from 0) of `count` parts of a selection, which may be a shard itself."""
    outer = selection.shard or Shard(1, 1)
    return replace(selection, shard=Shard(outer.index + outer.count * number, outer.count * count))


def make_root_absolute(options: SourceOptions) -> SourceOptions:
    """Return the options with an absolute root, which does not depend on the working directory."""
    if options.root is None or is_url(options.root):
        return options
    return replace(options, root=os.path.abspath(options.root))  # noqa: PTH100
