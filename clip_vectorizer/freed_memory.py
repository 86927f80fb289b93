"""Returns memory that was freed to the system. The C library keeps it: loading a model frees as much as it needs."""

import contextlib
import ctypes


def return_freed_memory() -> None:
    """Return what glibc keeps between pieces that are in use; without effect where there is no glibc."""
    with contextlib.suppress(AttributeError, OSError, TypeError):  # TypeError: Windows has no library without a name
        ctypes.CDLL(None).malloc_trim(0)
