"""One file on disk as an entry, with what lies beside it."""

import os
import stat
from functools import partial

from clip_vectorizer.errors import InputError
from ingest.items import Facts, Fate, Outcome
from ingest.sources.base import Entry, Skipped, SourceOptions, settled, stamp_of
from ingest.sources.beside import CAPTION, METADATA, Beside, Note, Notes, facts_of, options_stamp, stems
from ingest.sources.listing import Listed, Listing, sound_name
from ingest.sources.names import not_utf8
from ingest.sources.reading import open_regular


def open_file(path: str, options: SourceOptions) -> Listing:
    """A file named by itself is taken whatever its extension. Raises InputError where there is no regular file."""
    path = sound_name(os.path.abspath(path))  # noqa: PTH100 - not resolve(): the key is the name the user sees
    if not os.path.isfile(path):  # noqa: PTH113
        raise InputError(f"{path}: not a regular file; pipes and devices are not read")
    return Listing(path, lambda: iter([lone_entry(path, os.path.basename(path), path, options)]), options)  # noqa: PTH119


def lone_entry(path: str, key: str, source: str, options: SourceOptions) -> Listed:
    """A file whose folder was not listed: its notes are looked for one by one."""
    folder, name = os.path.split(path)
    possible = [stem + kind for stem in stems(name) for kind in (CAPTION, METADATA)]
    there = [note for note in possible if note != name and os.path.lexists(f"{folder}/{note}")]
    return file_entry(path, key, source, Beside(there), options)


def file_entry(path: str, key: str, source: str, beside: Beside, options: SourceOptions) -> Listed:
    """`path` is absolute. Looked at once; neither the file nor its notes are opened."""
    if failure := not_utf8(key, source):
        return failure
    try:
        status = os.stat(path)  # noqa: PTH116 - a Path a file is slow for a million files
    except OSError as error:
        return Outcome(key, Fate.FAILED, why_not(path, error), source)
    if not stat.S_ISREG(status.st_mode):
        return Skipped(key)
    folder, _, name = path.rpartition("/")
    notes = {kind: f"{folder}/{note}" for kind in (CAPTION, METADATA) if beside and (note := beside.of(name, kind))}
    label = folder[folder.rfind("/") + 1 :]
    stamp = files_stamp(status, notes, label, options)
    return Entry(key, source, stamp, partial(open_regular, path), partial(facts_on_disk, notes, label, options))


def why_not(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and os.path.islink(path):  # noqa: PTH114
        return "a link to a file that is not there"
    return f"cannot be read ({error.strerror})"


def files_stamp(image: os.stat_result, notes: dict[str, str], label: str, options: SourceOptions) -> str:
    try:
        looks = {kind: os.stat(note) for kind, note in notes.items()}  # noqa: PTH116
    except OSError:
        return ""  # `facts_on_disk` will say why
    if not all(settled(look.st_mtime_ns) for look in (image, *looks.values())):
        return ""
    seen = [(kind, look.st_size, look.st_mtime_ns) for kind, look in looks.items()]
    return stamp_of("file", image.st_size, image.st_mtime_ns, seen, label, options_stamp(options))


def facts_on_disk(notes: dict[str, str], label: str, options: SourceOptions) -> Facts:
    caption, metadata = (note_on_disk(notes.get(kind)) for kind in (CAPTION, METADATA))
    return facts_of(Notes(caption, metadata), label, options)


def note_on_disk(path: str | None) -> Note | None:
    return Note(os.path.basename(path), partial(start_of, path)) if path else None  # noqa: PTH119


def start_of(path: str, length: int) -> bytes:
    with open_regular(path) as file:
        return file.read(length)
