"""A source made of a function that lists entries: folders, patterns, archives and stdin are such."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from clip_vectorizer.errors import InputError
from ingest.items import Outcome
from ingest.sources.base import Entry, Found, Skipped, SourceOptions
from ingest.sources.kinds import expand
from ingest.sources.names import sound

Listed = Entry | Outcome | Skipped


@dataclass(frozen=True, slots=True)
class Listing:
    name: str
    entries: Callable[[], Iterator[Listed]]
    options: SourceOptions

    def __iter__(self) -> Iterator[Found]:
        for listed in self.entries():
            if isinstance(listed, Entry):
                yield from expand(listed, self.options)
            else:
                yield listed


def sound_name(path: str) -> str:
    """The path as a source's name. Raises InputError where it cannot be stored."""
    try:
        path.encode("utf-8")
        return path
    except UnicodeEncodeError as error:
        raise InputError(f"{sound(path)}: the path is not UTF-8 and cannot be stored; rename the folder") from error
