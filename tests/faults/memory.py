"""How much memory a process takes."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.01


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now."""
    statm = Path(f"/proc/{pid}/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(shown.stdout) * 1024


@dataclass
class Growth:
    """The most memory that a process held above its level at the start."""

    bytes: int = 0


@contextmanager
def growth_of(pid: int) -> Iterator[Growth]:
    growth, start, done = Growth(), resident_bytes(pid), threading.Event()

    def watch() -> None:
        while not done.wait(SAMPLE_SECONDS):
            growth.bytes = max(growth.bytes, resident_bytes(pid) - start)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        done.set()
        watcher.join()
