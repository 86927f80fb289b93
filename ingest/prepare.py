"""One item read and compared with what the database holds: the work that many threads do at once."""

import hashlib
from dataclasses import dataclass

from clip_vectorizer.errors import InputError
from ingest.facts import digest
from ingest.items import Amendment, Facts, Fate, Held, ImageObject, Item, Outcome, UnusableFile
from ingest.picture import look_at
from ingest.store import Keep

Prepared = ImageObject | Amendment | Outcome


@dataclass(frozen=True, slots=True)
class PrepareSettings:
    keep: Keep = Keep.THUMBNAIL
    near_duplicates: bool = False  # a perceptual hash for every image, also where no thumbnail is kept
    take_over: bool = False  # replace what another source brought in under the same key


def unchanged(item: Item, held: Held | None, settings: PrepareSettings) -> bool:
    """As far as it can be told without reading anything."""
    if held is None or not item.stamp or (settings.near_duplicates and not held.phash):
        return False
    return (item.stamp, item.source, str(item.fit)) == (held.stamp, held.source, held.fit)


def prepare(item: Item, held: Held | None, settings: PrepareSettings) -> Prepared:
    """What to upload, or the outcome when there is nothing: unchanged, or failed with the reason. Never raises."""
    try:
        return compared(item, item.read(), held, settings)
    except (UnusableFile, InputError) as problem:
        return failed(item, str(problem).removeprefix(f"{item.key}: "))
    except Exception as error:  # whatever a file can do to a decoder, it must not stop the run
        return failed(item, f"{type(error).__name__}: {error}")


def compared(item: Item, data: bytes, held: Held | None, settings: PrepareSettings) -> Prepared:
    sha256 = hashlib.sha256(data).hexdigest()
    facts = item.facts(data)
    if held is None or (held.sha256, held.fit) != (sha256, str(item.fit)):
        if held and held.source not in ("", item.source) and not settings.take_over:
            return failed(item, taken(held))
        return made(item, data, sha256, facts, held, settings)
    phash = look_at(data, item.fit, Keep.NONE, True).phash if settings.near_duplicates and not held.phash else ""
    same_facts = held.facts == digest(facts)
    if same_facts and not phash and (held.stamp, held.source) == (item.stamp, item.source):
        return Outcome(item.key, Fate.UNCHANGED, source=item.source)
    return Amendment(item.key, item.source, item.stamp, None if same_facts else facts, phash)


def made(
    item: Item, data: bytes, sha256: str, facts: Facts, held: Held | None, settings: PrepareSettings
) -> ImageObject:
    seen = look_at(data, item.fit, settings.keep, settings.near_duplicates)
    return ImageObject(
        key=item.key,
        source=item.source,
        stamp=item.stamp,
        sha256=sha256,
        fit=item.fit,
        facts=facts,
        mime=seen.mime,
        size=len(data),
        image=seen.image,
        thumbnail=seen.thumbnail,
        phash=seen.phash,
        replaces=held is not None,
    )


def taken(held: Held) -> str:
    return (
        f"the collection holds another image under this path, from {held.source}; "
        "keep both with --prefix NAME, or replace that one with --take-over"
    )


def failed(item: Item, reason: str) -> Outcome:
    return Outcome(item.key, Fate.FAILED, reason, item.source)
