"""Real processes to test with, and what is true of them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PATIENCE_SECONDS = 60.0  # on a machine that is busy with something else


def python(script: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", script, *map(str, arguments)]


def lives(pid: int) -> bool:
    """Whether the process runs; a zombie, which has ended but was not waited for, does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip() not in ("",) and not shown.stdout.strip().startswith("Z")


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def number_in(file: Path) -> int:
    """The number that another process writes to `file`."""
    assert eventually(lambda: file.is_file() and file.read_text().endswith("\n")), f"{file} was never written"
    return int(file.read_text())


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, **more}
