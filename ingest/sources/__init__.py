"""Where images come from: every source becomes one `Listing`."""

from collections.abc import Sequence
from pathlib import Path

from ingest.items import Fate, ImageFile, Outcome
from ingest.sources.folder import Listing, list_source

__all__ = ["Listing", "list_sources"]


def list_sources(sources: Sequence[Path]) -> Listing:
    """The listings of all sources in one. Raises InputError for a source that is missing or holds no image.

    Two different files with one key would overwrite each other: the first is taken, the second reported as failed.
    The same file named twice counts once.
    """
    whole, taken = Listing(), dict[str, ImageFile]()
    for source in sources:
        listing = list_source(source)
        whole.skipped += listing.skipped
        whole.failures += listing.failures
        for image in listing.files:
            first = taken.setdefault(image.key, image)
            if first is image:
                whole.files.append(image)
            elif not same_file(first, image):
                whole.failures.append(clash(first, image))
    return whole


def same_file(one: ImageFile, other: ImageFile) -> bool:
    return one.file == other.file or (one.file.exists() and other.file.exists() and one.file.samefile(other.file))


def clash(first: ImageFile, second: ImageFile) -> Outcome:
    reason = f"{second.file} would overwrite {first.file}: both are {first.key} in their source; ingest a common parent"
    return Outcome(second.key, Fate.FAILED, reason)
