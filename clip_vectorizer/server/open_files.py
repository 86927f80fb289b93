"""How many connections the system grants one process."""

import contextlib

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

PLENTY = 2**20


def files_allowed() -> int:
    """How many files and connections this process may have open: as many as the system lets it ask for."""
    if resource is None:
        return PLENTY
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems promise more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return PLENTY if soft == resource.RLIM_INFINITY else soft
