"""What a front is started with, and its share of the limits."""

import sys
from dataclasses import dataclass, replace

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.models.cores import usable_cores
from clip_vectorizer.server.settings import Settings


@dataclass(frozen=True, slots=True)
class Start:
    settings: Settings  # a front's share
    status: str  # what callers hear until there is a model


def start_of(settings: Settings, status: str) -> Start:
    return Start(share_of(settings), status)


def share_of(settings: Settings) -> Settings:
    """What one front takes in: one whole request at least, else so that all together take in what `settings` say.

    No cache: there is one for all, beside the model. A front's own would keep rows that the other has let go, and the
    same input would then get other last bits from other fronts.
    """
    limits, count = settings.limits, settings.processes
    share = replace(
        limits,
        max_queue=max(limits.max_queue // count, min(limits.max_queue, limits.max_items)),
        max_queue_bytes=max(limits.max_queue_bytes // count, limits.body_bytes),
        cache_bytes=0,
    )
    most = max(settings.max_connections // count, 1)
    return replace(settings, limits=share, decode_threads=max(1, usable_cores() // count), max_connections=most)


def check(settings: Settings) -> None:
    """Raises SettingsError where a socket cannot be handed to another process."""
    if sys.platform == "win32":
        raise SettingsError(f"CLIP_PROCESSES='{settings.processes}': on Windows one process serves; leave it out")
