"""glibc's malloc told to keep what it got: a sidecar asks for the same megabytes again with every pass.

By default it gives large blocks back to the system at once, and each page of the next one is a page fault, of which a
pass over eight images had thousands. Under virtualisation a fault takes microseconds.
"""

import contextlib
import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # mallopt's names in malloc.h
MMAP_BYTES = 32 * 1024 * 1024  # the most that glibc allows; larger blocks, of huge pictures, still go back at once
KEPT_BYTES = 512 * 1024 * 1024


def keep_memory() -> None:
    """Does nothing where there is no such malloc (macOS, Windows, musl)."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MMAP_THRESHOLD, MMAP_BYTES)
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
