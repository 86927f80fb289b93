"""Writes once a second how far an ingest is, for `clip-gallery` (clip_vectorizer/ingest_state.py).

On a thread of its own, so that a slow disk costs the ingest nothing; a file that cannot be written is given up.
"""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from clip_vectorizer.ingest_state import (
    BEAT_SECONDS,
    FINISHED,
    RUNNING,
    STOPPED,
    WATCHING,
    IngestState,
    name_database,
    name_state_file,
    read_states,
    write_state,
)
from ingest.job import IngestJob
from ingest.report import IngestReport
from ingest.watch import RoundComplete

FORGET_SECONDS = 24 * 3600.0  # states of ingests that ended


class IngestBeacon:
    """A listener and context manager. On exit the file says how the ingest ended; the next ingest removes it."""

    def __init__(self, folder: Path, job: IngestJob, rate: Callable[[float, int], float]) -> None:
        """`rate`: from the time and the number of images done to images a second."""
        self._folder, self._file, self._measure = folder, name_state_file(folder), rate
        now = time.time()
        self._state = IngestState(
            name_database(job.connection.weaviate_url), job.collection, job.tenant, pid=os.getpid(), began=now, beat=now
        )
        self._report: IngestReport | None = None
        self._watching = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="ingest state", daemon=True)

    def __call__(self, report: IngestReport, event: object) -> None:
        self._report, self._watching = report, isinstance(event, RoundComplete)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(timeout=BEAT_SECONDS)
        self._write(STOPPED if kind else FINISHED)

    def _beat(self) -> None:
        if not self._prepare():
            return
        while self._write(WATCHING if self._watching else RUNNING) and not self._ended.wait(BEAT_SECONDS):
            pass

    def _prepare(self) -> bool:
        """Remove what earlier ingests of the same images left. Returns whether there is a folder."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return False
        now = time.time()
        for file, state in read_states(self._folder):
            has_ended = state.find_status(now) in (FINISHED, STOPPED)
            if has_ended and (state.target == self._state.target or now - state.beat > FORGET_SECONDS):
                with suppress(OSError):
                    file.unlink()
        return True

    def _write(self, status: str) -> bool:
        report, now = self._report, time.time()
        state = replace(self._state, beat=now, status=status)
        if report is not None:
            stored = report.added + report.updated + report.unchanged
            rate = self._measure(time.monotonic(), stored + report.failed)
            state = replace(
                state, stored=stored, failed=report.failed, seen=report.seen, complete=report.complete, rate=rate
            )
        try:
            write_state(self._file, state)
            return True
        except OSError:
            return False
