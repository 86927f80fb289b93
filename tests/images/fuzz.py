"""Mutated files through the decoder and through the ingest's preview: what they may do, and how it is counted."""

import gc
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from clip_vectorizer.errors import ImageRefused
from clip_vectorizer.images.opener import decode_image
from ingest.choices import Fit, Keep
from ingest.items import UnusableFile
from ingest.preview import preview_image

MOST_SECONDS = 5.0  # for one small file, on a busy machine
LEAST_SIDE = 32  # pixels: a JPEG may be decoded scaled, as the sidecar does
MOST_KEPT = 20  # failures that are described


@dataclass(slots=True)
class FuzzTally:
    """What the files did. `failures` is empty unless something else than a refusal was raised or took too long."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_seconds: float = 0.0
    grown_bytes: int = 0  # of the process, since the first quarter of the files


def decode_as_sidecar(data: bytes) -> str:
    try:
        decoded = decode_image(data, least_side=LEAST_SIDE)
    except ImageRefused:
        return "refused"
    return "damaged" if decoded.damage else "opened"


def preview_as_ingest(data: bytes) -> str:
    try:
        preview_image(data, Fit.CROP, Keep.THUMBNAIL, True)
    except UnusableFile:
        return "refused"
    return "previewed"


def run_files(
    files: Iterable[tuple[str, bytes]], count: int, report: Callable[[int, FuzzTally], None] | None = None
) -> FuzzTally:
    """Both ways for every file. Nothing is raised: every unexpected error becomes a failure in the tally."""
    tally, settled = FuzzTally(), 0
    for number, (name, data) in enumerate(files):
        if number == count // 4:
            settled = resident_bytes()
        for way in (decode_as_sidecar, preview_as_ingest):
            run_one(way, name, data, tally)
        if report:
            report(number, tally)
    tally.grown_bytes = resident_bytes() - settled
    return tally


def run_one(way: Callable[[bytes], str], name: str, data: bytes, tally: FuzzTally) -> None:
    begin = time.process_time()
    try:
        tally.outcomes[f"{way.__name__}: {way(data)}"] += 1
    except Exception as error:
        note_failure(tally, f"{name}: {way.__name__} raised {type(error).__name__}: {error}")
    seconds = time.process_time() - begin  # of the processor: other processes do not count
    tally.slowest_seconds = max(tally.slowest_seconds, seconds)
    if seconds > MOST_SECONDS:
        note_failure(tally, f"{name}: {way.__name__} took {seconds:.1f} s")


def note_failure(tally: FuzzTally, text: str) -> None:
    tally.outcomes["failed"] += 1
    if len(tally.failures) < MOST_KEPT:
        tally.failures.append(text)


def resident_bytes() -> int:
    """Of this process, after a collection."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
