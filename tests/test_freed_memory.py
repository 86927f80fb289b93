"""Freed memory goes back to the system."""

import sys
from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.freed_memory import return_freed_memory

SMALL, COUNT = 100_000, 2000  # bytes; below glibc's limit for memory with a mapping of its own


def resident_mebibytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc and glibc")
def test_memory_between_pieces_that_are_in_use_is_returned() -> None:
    pieces = [np.ones(SMALL, np.uint8) for _ in range(COUNT)]
    kept = pieces[::20]
    held = resident_mebibytes()
    del pieces
    return_freed_memory()
    assert held - resident_mebibytes() > 0.8 * SMALL * COUNT / 2**20
    assert all(each.all() for each in kept)
