"""Shows a download on stderr: the file that is being fetched, and a line for each that is complete."""

import time
from pathlib import Path
from typing import Self

from clip_vectorizer.models.transfers import format_size
from clip_vectorizer.progress import StatusDisplay, open_display

LOG_SECONDS = 10.0  # between two lines where stderr is no terminal


class DownloadDisplay:
    """A context manager. Obeys DownloadReport."""

    def __init__(self, display: StatusDisplay | None = None) -> None:
        self._display = display or open_display(LOG_SECONDS, bar=True)
        self._name, self._start, self._began = "", 0, 0.0

    def progress(self, name: str, done: int, total: int | None) -> None:
        if name != self._name:
            self._name, self._start, self._began = name, done, time.monotonic()
            self._display.start(f"fetching {name}")
        seconds = time.monotonic() - self._began
        rate = (done - self._start) / seconds if seconds > 0 else 0.0
        of_total = f" of {format_size(total)}" if total is not None else ""
        self._display.show(f"{name}: {format_size(done)}{of_total}", done, total, rate)

    def fetched(self, file: Path) -> None:
        self._name = ""
        self._display.note(f"{file.name}: {format_size(file.stat().st_size)}")

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(self, *details: object) -> None:
        self._display.__exit__(*details)
